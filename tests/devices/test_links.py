"""The same devices, which are given a signed link and no credential.

What they do is imported from beside; the device that does it is another one here.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.devices.conftest import IMAGE, NAME, Device
from tests.devices.test_linux_updaters import (
    test_bits_needs_the_size_on_head_and_both_lengths_on_ranges,
    test_mender_resumes_with_exactly_the_range_it_asked_for,
    test_rauc_hawkbit_updater_gets_a_plain_200,
    test_rauc_polls_and_hears_that_nothing_is_new,
    test_rauc_streams_blocks_in_any_order,
    test_swupdate_learns_the_size_by_head_and_resumes,
)
from tests.devices.test_microcontrollers import (
    test_arduino_gets_a_length_and_the_md5_of_what_it_gets,
    test_esp_idf_begins_again_when_it_holds_more_than_there_is,
    test_esp_idf_downloads_in_parts_of_which_the_last_end_is_beyond_the_file,
    test_esp_idf_resumption_of_nothing_is_a_206_of_everything,
    test_nrf_downloads_in_parts_that_fit_its_modem,
    test_nrf_gets_exactly_200_without_a_range_and_206_from_an_offset,
    test_zephyr_fota_resumes_under_the_validator_it_kept,
    test_zephyr_hawkbit_downloads_and_resumes,
)
from tests.tools.losant import Application, new_application
from tests.tools.mainflux import Thing, User
from tests.tools.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.asyncio(loop_scope="module")

__all__ = [
    "test_arduino_gets_a_length_and_the_md5_of_what_it_gets",
    "test_bits_needs_the_size_on_head_and_both_lengths_on_ranges",
    "test_esp_idf_begins_again_when_it_holds_more_than_there_is",
    "test_esp_idf_downloads_in_parts_of_which_the_last_end_is_beyond_the_file",
    "test_esp_idf_resumption_of_nothing_is_a_206_of_everything",
    "test_mender_resumes_with_exactly_the_range_it_asked_for",
    "test_nrf_downloads_in_parts_that_fit_its_modem",
    "test_nrf_gets_exactly_200_without_a_range_and_206_from_an_offset",
    "test_rauc_hawkbit_updater_gets_a_plain_200",
    "test_rauc_polls_and_hears_that_nothing_is_new",
    "test_rauc_streams_blocks_in_any_order",
    "test_swupdate_learns_the_size_by_head_and_resumes",
    "test_zephyr_fota_resumes_under_the_validator_it_kept",
    "test_zephyr_hawkbit_downloads_and_resumes",
]


class Linked(Device):
    """A device whose address is all that it has."""

    @property
    def key(self) -> str:
        """A header that says nothing."""
        return "Accept-Language: en"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(admin: User) -> Application:
    """An application that has the image."""
    return await new_application(admin)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def link(application: Application) -> str:
    """The link, below any base."""
    file = await application.publish(NAME, IMAGE.content)
    url = await application.link(file, 86_400)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await _is_dated(application, url):  # in the second that it is of it is not told
            await asyncio.sleep(0.05)
    parts = urlsplit(url)
    return f"/filestore{parts.path}?{parts.query}"


async def _is_dated(application: Application, url: str) -> bool:
    async with application.session.head(url) as answer:
        return "Last-Modified" in answer.headers


@pytest.fixture
def device(port: int, link: str) -> Device:
    """The device, directly before the gateway or behind nginx."""
    return Linked(port, Thing("", ""), link)
