"""Other people's download clients, as programs: curl, wget, aria2c, a shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class ClientMissing(RuntimeError):
    """A client is not installed. Not a reason to skip."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended and what it said."""

    status: int
    stdout: bytes
    stderr: bytes


async def run(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None, seconds: float = 60.0
) -> Ran:
    """Run a program to its end. Raises ``ClientMissing``, and ``TimeoutError`` after killing it."""
    program, *arguments = map(str, command)
    found = shutil.which(program)
    if found is None:
        raise ClientMissing(f"{program} is needed; .ci/packages.txt has its package")
    process = await asyncio.create_subprocess_exec(
        *(found, *arguments),
        cwd=cwd,
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its children, too
            await process.wait()
    assert process.returncode is not None
    return Ran(process.returncode, stdout, stderr)
