"""A device that has a user's token, and the GUID of an image."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.devices.conftest import IMAGE, NAME, Device
from tests.tools.gravwell import FILES, put_user_file
from tests.tools.mainflux import User


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(admin: User) -> str:
    """The path of the image."""
    return f"{FILES}/{await put_user_file(admin, IMAGE.content, Name=NAME)}"


@pytest.fixture
def device(port: int, admin: User, address: str) -> Device:
    """The device, directly before the gateway or behind nginx."""
    return Device(port, admin, address)
