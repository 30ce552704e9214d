"""Other people's clients, resuming user files."""

from __future__ import annotations

import pytest

from tests.tools.gravwell import UserPlace
from tests.tools.rawhttp import raw_connection
from tests.web.test_resume import (
    BIG,
    OLD,
    test_a_client_with_if_range_gets_the_new_file_whole,
    test_a_complete_file_is_success_and_untouched,
    test_a_download_that_is_cut_again_and_again_ends_with_the_right_bytes,
    test_a_pinned_address_is_of_one_version,
    test_a_transfer_under_way_is_finished_with_the_bytes_it_began_with,
    test_aria2_goes_on_where_it_was_cut,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

__all__ = [
    "test_a_client_with_if_range_gets_the_new_file_whole",
    "test_a_complete_file_is_success_and_untouched",
    "test_a_download_that_is_cut_again_and_again_ends_with_the_right_bytes",
    "test_a_pinned_address_is_of_one_version",
    "test_a_transfer_under_way_is_finished_with_the_bytes_it_began_with",
    "test_aria2_goes_on_where_it_was_cut",
]


@pytest.fixture(scope="module", params=["direct", "edge"])
def way(request: pytest.FixtureRequest) -> str:
    """The gateway itself, and an nginx that asks it once and sends by itself."""
    return str(request.param)


@pytest.mark.parametrize("way", ["direct"], indirect=True)
async def test_a_bare_offset_does_not_go_on_with_other_bytes(place: UserPlace) -> None:
    """The gateway saw the old file begin, so it refuses until the client begins anew."""
    await place.publish(OLD)
    async with raw_connection(place.port) as raw:
        begun = await raw.ask("GET", place.path, [place.credential, ("Range", "bytes=0-102399")])
        assert begun.body == OLD.read(0, 102_400)
        await place.replace(BIG)
        goes_on = [place.credential, ("Range", "bytes=102400-204799")]
        assert (await raw.ask("GET", place.path, goes_on)).status == 412
        anew = await raw.ask("GET", place.path, [place.credential, ("Range", "bytes=0-99")])
        assert anew.body == BIG.read(0, 100)
