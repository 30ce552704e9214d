"""The edge's Lua module by itself: its cases run in nginx, and it says nothing that a linter minds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import aiohttp

from tests.tools.nginx import DEPLOY, running_nginx

CASES = Path(__file__).with_name("edge_cases.lua")
_LOCATION = "location = /cases { default_type text/plain; content_by_lua_file %s; }"


async def test_what_the_module_promises_by_itself(tmp_path: Path) -> None:
    async with (
        running_nginx(
            tmp_path / "nginx",
            upstream="127.0.0.1:9",
            blobs=tmp_path,
            edge=True,
            server=_LOCATION % CASES,
        ) as nginx,
        aiohttp.ClientSession() as http,
        http.get(f"{nginx.url}/cases") as answer,
    ):
        lines = (await answer.text()).splitlines()
        assert [] == [line for line in lines if not line.startswith("ok\t")], nginx.log
        assert answer.status == 200
        assert len(lines) > 60


def test_nothing_in_it_looks_wrong() -> None:
    luacheck = shutil.which("luacheck")
    assert luacheck is not None, "luacheck is needed: apt install lua-check"
    command = (luacheck, "--no-config", "--no-color", "--std", "ngx_lua+luajit")
    files = (*DEPLOY.glob("*.lua"), CASES)
    done = subprocess.run(
        (*command, "--max-line-length", "120", *files), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
