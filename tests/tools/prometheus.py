"""A real Prometheus, of Debian, and its promtool."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.tools.ports import HOST, free_port
from tests.tools.waiting import until

START_SECONDS = 30.0


class PrometheusMissing(RuntimeError):
    """There is no Prometheus on this machine. Not a reason to skip."""


def program(name: str) -> str:
    """``prometheus`` or ``promtool``."""
    found = shutil.which(name)
    if found is None:
        raise PrometheusMissing(
            "prometheus is needed: apt install --no-install-recommends prometheus"
        )
    return found


def promtool(*arguments: str | Path, stdin: str = "") -> str:
    """What it says; fails with that if its status is not 0."""
    done = subprocess.run(
        [program("promtool"), *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout + done.stderr


@contextlib.asynccontextmanager
async def running_prometheus(
    folder: Path, configuration: Path, *targets: str, seconds: float
) -> AsyncIterator[str]:
    """The URL of one with that configuration, but these targets, asked every ``seconds``.

    It has asked them once.
    """
    changed: dict[str, Any] = yaml.safe_load(configuration.read_text("utf-8"))
    every = f"{int(seconds * 1000)}ms"
    changed["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), every)
    changed["rule_files"] = [str(configuration.parent / name) for name in changed["rule_files"]]
    changed["scrape_configs"][0]["static_configs"][0]["targets"] = list(targets)
    file, port = folder / "prometheus.yml", free_port()
    file.write_text(yaml.safe_dump(changed))
    process = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={HOST}:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://{HOST}:{port}"
    try:
        async with aiohttp.ClientSession() as session:
            await until(lambda: _answers(session, f"{url}/-/ready"), within=START_SECONDS)
            # It takes its time to begin, and a rate is of what grew before its eyes.
            await until(lambda: _has_looked(session, url), within=START_SECONDS)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _has_looked(session: aiohttp.ClientSession, url: str) -> bool:
    return bool(await queried(session, url, "up == 1"))


async def queried(session: aiohttp.ClientSession, url: str, query: str) -> list[dict[str, Any]]:
    """The series that an instant query gives."""
    async with session.get(f"{url}/api/v1/query", params={"query": query}) as answer:
        said = await answer.json()
    assert said["status"] == "success", (query, said)
    found: list[dict[str, Any]] = said["data"]["result"]
    return found
