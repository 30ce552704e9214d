"""A number that a client may store is one that everybody can be shown again."""

from __future__ import annotations

import json

import aiohttp
import pytest

from tests.tools.gateway import GatewayProcess
from tests.tools.mainflux import Thing, User

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("9223372036854775808", id="beyond 63 bits"),
        pytest.param("18446744073709551616", id="beyond 64 bits"),
        pytest.param("1e22", id="a float that PostgreSQL writes as an integer"),
        pytest.param("-1.7976931348623157e308", id="the least double"),
        pytest.param("5e-324", id="the smallest double"),
        pytest.param("-0.0", id="minus zero"),
    ],
)
async def test_metadata_with_any_number_can_be_read_back(
    gateway: GatewayProcess, http: aiohttp.ClientSession, admin: User, thing: Thing, number: str
) -> None:
    """One such row would else be a 500 for every list that it is in."""
    headers = {"Content-Type": "application/json", **admin.headers}
    url = f"{gateway.url}/things/{thing.id}"
    body = f'{{"metadata":{{"number":{number}}}}}'
    async with http.put(url, data=body, headers=headers) as answer:
        assert 200 == answer.status
    async with http.get(f"{gateway.url}/things?limit=0", headers=admin.headers) as answer:
        assert 200 == answer.status
        listed = json.loads(await answer.read())["things"]
    shown = next(item for item in listed if item["id"] == thing.id)
    assert float(number) == float(shown["metadata"]["number"])
