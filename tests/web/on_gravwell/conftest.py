"""The administrator's user files, by GUID, in every way to run."""

from __future__ import annotations

import itertools

import aiohttp
import pytest

from tests.tools.gateway import GatewayProcess
from tests.tools.gravwell import UserPlace
from tests.tools.mainflux import Thing, User

_numbers = itertools.count()


@pytest.fixture
def place(
    gateway: GatewayProcess, http: aiohttp.ClientSession, thing: Thing, admin: User, port: int
) -> UserPlace:
    """A GUID that no other test uses."""
    return UserPlace(gateway, http, thing, port, f"fw-{next(_numbers)}.bin", user=admin)
