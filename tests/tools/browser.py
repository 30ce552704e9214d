"""A real browser without a window: Chromium, told what to do over WebDriver (W3C).

Knows how it is started so that it asks nobody but the page's own servers. Needs ``chromium`` and
``chromedriver``.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.tools.clients import ClientMissing
from tests.tools.ports import HOST, free_port

_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-default-apps", "--disable-dev-shm-usage", "--no-default-browser-check"),
)
_START_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Browser:
    """One window."""

    http: aiohttp.ClientSession
    session: str

    async def open(self, url: str) -> None:
        """Go there, and wait until it is loaded."""
        await _command(self.http, f"{self.session}/url", {"url": url})

    async def resize(self, width: int, height: int) -> None:
        """Make the window this large, in pixels."""
        await _command(self.http, f"{self.session}/window/rect", {"width": width, "height": height})

    async def click(self, selector: str) -> None:
        """Click the first element that the CSS selector finds, within seconds."""
        await _command(self.http, f"{await self._find(selector)}/click", {})

    async def type(self, selector: str, text: str) -> None:
        """Type into that element; into a file's, the path of a file that is chosen so."""
        await _command(self.http, f"{await self._find(selector)}/value", {"text": text})

    async def text(self, selector: str) -> str:
        """What a person reads in that element."""
        async with self.http.get(f"{await self._find(selector)}/text") as answer:
            return str((await answer.json())["value"])

    async def _find(self, selector: str) -> str:
        wanted = {"using": "css selector", "value": selector}
        said = await _command(self.http, f"{self.session}/element", wanted)
        return f"{self.session}/element/{next(iter(said.values()))}"

    async def run(self, script: str, *values: object) -> Any:
        """What an asynchronous function with this body returns; ``values`` are its ``arguments``.

        Raises ``BrowserError`` with what it throws.
        """
        wrapped = (
            "const done = arguments[arguments.length - 1];"
            f"(async function () {{ {script} }}).apply(null, arguments)"
            ".then(value => done({value}), error => done({error: String(error)}));"
        )
        said = await _command(
            self.http, f"{self.session}/execute/async", {"script": wrapped, "args": list(values)}
        )
        if "error" in said:
            raise BrowserError(said["error"])
        return said.get("value")


class BrowserError(RuntimeError):
    """What a page's script threw, or the driver refused."""


@contextlib.asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """A browser of one's own; it and all that it has written are gone when the block ends."""
    driver, chromium = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or chromium is None:
        raise ClientMissing("chromium and chromedriver are needed; see .ci/packages.txt")
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = await asyncio.create_subprocess_exec(
            driver,
            f"--port={port}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with aiohttp.ClientSession(f"http://{HOST}:{port}") as http:
                session = await _begin(http, chromium, folder)
                try:
                    yield Browser(http, session)
                finally:
                    await (await http.delete(session)).read()
        finally:
            process.terminate()
            await process.wait()


async def _begin(http: aiohttp.ClientSession, chromium: str, folder: str) -> str:
    options = {"binary": chromium, "args": [*_ARGUMENTS, f"--user-data-dir={folder}"]}
    wanted = {
        "browserName": "chrome",
        "goog:chromeOptions": options,
        "timeouts": {"script": 60_000, "implicit": 20_000},
    }
    async with asyncio.timeout(_START_SECONDS):
        await _until_ready(http)
        said = await _command(http, "/session", {"capabilities": {"alwaysMatch": wanted}})
    return f"/session/{said['sessionId']}"


async def _until_ready(http: aiohttp.ClientSession) -> None:
    while True:
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with http.get("/status") as answer:
                if (await answer.json())["value"]["ready"]:
                    return
        await asyncio.sleep(0.05)


async def _command(http: aiohttp.ClientSession, path: str, body: object) -> Any:
    async with http.post(path, json=body) as answer:
        said = (await answer.json())["value"]
    if answer.status != 200:
        raise BrowserError(said.get("message", ""))
    return said
