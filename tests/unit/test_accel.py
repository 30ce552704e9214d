"""When nginx would send the bytes that we would."""

from __future__ import annotations

import pytest

from gateway.model.byterange import ByteRange
from gateway.model.precondition import Conditions
from gateway.web.downloads.decide import Asked, Representation
from gateway.web.downloads.deliver.accel import sends_the_same

WHOLE = Representation(200, ByteRange(0, 100), {})
PART = Representation(206, ByteRange(10, 20), {})
SOME = ("bytes=10-19",)


@pytest.mark.parametrize(
    ("expected", "asked", "shown"),
    [
        pytest.param(True, Asked(), WHOLE, id="all of it"),
        pytest.param(True, Asked(ranges=SOME), PART, id="a canonical range"),
        pytest.param(True, Asked(ranges=("bytes=-9",)), PART, id="a suffix"),
        pytest.param(
            True, Asked(ranges=SOME, conditions=Conditions(if_range='"x"')), WHOLE, id="by tag"
        ),
        pytest.param(
            True, Asked(conditions=Conditions(if_none_match='"x"')), WHOLE, id="If-None-Match"
        ),
        pytest.param(False, Asked(ranges=("bytes= 1-2",)), PART, id="with a space"),
        pytest.param(False, Asked(ranges=("Bytes=1-2",)), PART, id="with a capital"),
        pytest.param(False, Asked(ranges=SOME * 2), PART, id="two lines"),
        pytest.param(False, Asked(other_ranges=SOME), PART, id="by another name"),
        pytest.param(
            False,
            Asked(ranges=SOME, conditions=Conditions(if_range="Thu, 01 Jan 2026 03:04:05 GMT")),
            PART,
            id="by date",
        ),
        *(
            pytest.param(
                False, Asked(ranges=SOME, conditions=Conditions(if_range=value)), WHOLE, id=value
            )
            for value in ('"hu, 01 Jan 2026 03:04:05 GMT', '"x", "y"', '"', 'W/"x"')
        ),
        pytest.param(False, Asked(conditions=Conditions(if_match="*")), WHOLE, id="If-Match"),
        pytest.param(
            False,
            Asked(conditions=Conditions(if_unmodified_since="x")),
            WHOLE,
            id="If-Unmodified-Since",
        ),
    ],
)
def test_nginx_is_to_send_what_it_reads_as_we_do(
    *, expected: bool, asked: Asked, shown: Representation
) -> None:
    assert expected == sends_the_same(asked, shown)
