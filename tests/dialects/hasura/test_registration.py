"""Policies under which every user may write do not go with a door through which anybody comes in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.gateway import GatewayDied, running_gateway
from tests.tools.ports import HOST


@pytest.mark.parametrize("policy", ["private", "public"])
async def test_a_policy_that_trusts_users_is_refused_beside_open_registration(
    tmp_path: Path, postgres_server: str, policy: str
) -> None:
    with pytest.raises(GatewayDied, match="set GATEWAY_OPEN_REGISTRATION=false, or a hook"):
        async with running_gateway(
            tmp_path, database_server=postgres_server, hasura_policy=policy, open_registration=True
        ):
            pytest.fail("it serves")


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"hasura_policy": "private", "open_registration": False}, id="closed"),
        pytest.param({"hasura_policy": "read-only", "open_registration": True}, id="nobody writes"),
        pytest.param(
            {"hasura_policy": "public", "open_registration": True, "hook_url": f"http://{HOST}:9/"},
            id="a hook decides",
        ),
    ],
)
async def test_all_else_starts(
    tmp_path: Path, postgres_server: str, settings: dict[str, object]
) -> None:
    async with running_gateway(tmp_path, database_server=postgres_server, **settings) as gateway:
        assert gateway.running
