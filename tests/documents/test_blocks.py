"""The shell blocks of the README and of the pages run, as a reader would paste them.

Under ``sh -eu`` with a curl that fails on a refusal, against the real service.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.documents import pages
from tests.tools.clients import run
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD, GatewayProcess, running_gateway

MAINFLUX = "docs/apis/mainflux.md"
# A reader's 64 MiB say no more than these; the receiver of the webhook has to be a host that is there.
SHORTER = {"64M": "3M", "20M": "1M", "https://erp.example/in": "http://127.0.0.1:9/in"}
# An answer that is a refusal ends curl with 22, and the block with it.
CURL = '#!/bin/sh\nexec {curl} --fail-with-body "$@"\n'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: str
) -> AsyncIterator[GatewayProcess]:
    async with running_gateway(
        tmp_path_factory.mktemp("gateway"),
        database_server=postgres_server,
        webhook_private_targets=True,
    ) as running:
        yield running


def script(gateway: GatewayProcess, *blocks: tuple[str, str]) -> str:
    """These blocks, one after the other, with the values that a reader fills in."""
    text = "".join(pages.shell(page, mark) for page, mark in blocks)
    filled = text.replace("http://127.0.0.1:8080", gateway.url)
    filled = filled.replace("email=...", f"email={ADMIN_EMAIL}")
    filled = filled.replace("password=...", f"password={ADMIN_PASSWORD}")
    for long, short in SHORTER.items():
        filled = filled.replace(long, short)
    return filled


async def paste(text: str, folder: Path) -> str:
    """Run it; its output. A command that fails fails the test."""
    found = await run("sh", "-c", "command -v curl", cwd=folder)
    curl = folder / "bin" / "curl"
    curl.parent.mkdir()
    curl.write_text(CURL.format(curl=found.stdout.decode().strip()))
    curl.chmod(0o755)
    environment = os.environ | {"PATH": f"{curl.parent}:{os.environ['PATH']}"}
    ran = await run("sh", "-euc", text, cwd=folder, env=environment)
    assert ran.status == 0, (ran.stdout, ran.stderr)
    return ran.stdout.decode()


async def test_the_readme_s_image_is_cut_resumed_and_equal(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    said = await paste(script(gateway, ("README.md", "try")), tmp_path)
    assert said.endswith("exactly those bytes\n")


async def test_the_mainflux_files_go_up_change_and_go(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    blocks = (("README.md", "try"), (MAINFLUX, "files"))
    said = await paste(script(gateway, *blocks), tmp_path)
    assert '"total":2' in said
    assert (tmp_path / "firmware.bin").read_bytes() == (tmp_path / "got.bin").read_bytes()


async def test_the_mainflux_messages_and_webhooks_are_taken(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    blocks = (("README.md", "try"), (MAINFLUX, "messages"), (MAINFLUX, "webhooks"))
    said = await paste(script(gateway, *blocks, (MAINFLUX, "webhook secrets")), tmp_path)
    assert '"name":"gate:voltage"' in said
    assert '{"webhooks":[{"id":' in said
    assert 2 == said.count('"secret":"whsec_')


async def test_a_block_that_is_refused_fails(gateway: GatewayProcess, tmp_path: Path) -> None:
    """The other tests of this module can fail."""
    with pytest.raises(AssertionError, match="404"):
        await paste(f"curl -sS {gateway.url}/none; true", tmp_path)
