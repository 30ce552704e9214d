"""One process of a suite: ``python -m tests.torture.worker SUITE --seed N --first K --step W``.

Says on stdout, a JSON object a line, what was done since the last line: ``{"cases": n, "seen": {...}}``; or, before
it ends with status 1, ``{"failed": number, "why": "..."}``. Goes on until its stdin ends or ``--cases`` are done.

Rule: nothing but those lines goes to stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import logging
import os
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import asyncpg
import uvloop

from gateway.database.embedded import embedded_server
from gateway.database.migrations import migrate
from tests.tools.deployment import sql_folders
from tests.tools.gateway import MIGRATED, database_of
from tests.torture.defects import plant
from tests.torture.suite import Failed, Seen, Stage, Suite, all_suites, run

MEMORY: Final = Path("/dev/shm")
_EVERY_SECONDS: Final = 0.5


@contextlib.contextmanager
def stage_folder() -> Iterator[Path]:
    """An empty folder, in memory if the machine has any, that is gone after the block."""
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="torture-", dir=memory) as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server may have to be another user
        yield folder


@contextlib.contextmanager
def stage_of(seed: int) -> Iterator[Stage]:
    """A stage of one's own that is gone after the block."""
    with stage_folder() as folder:
        (folder / "stage").mkdir()
        with embedded_server(folder / "server", superuser=True) as server:
            asyncio.run(_prepare(server))
            yield Stage(folder / "stage", server, seed)


async def _prepare(server: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        for text in (
            "alter system set fsync = off",
            "alter system set full_page_writes = off",
            "select pg_reload_conf()",
            f"create database {MIGRATED}",
        ):
            await connection.execute(text)
    finally:
        await connection.close()
    await migrate(database_of(server, MIGRATED), sql_folders())


class _Reports:
    """What is said to whoever started us."""

    def __init__(self) -> None:
        self._cases, self._seen, self._last = 0, Seen(), time.monotonic()

    def note(self, seen: Seen) -> None:
        """One more case."""
        self._cases += 1
        self._seen += seen
        if time.monotonic() - self._last > _EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Say what has not been said."""
        if self._cases:
            say({"cases": self._cases, "seen": self._seen})
        self._cases, self._seen, self._last = 0, Seen(), time.monotonic()


def say(said: object) -> None:
    """One line."""
    print(json.dumps(said), file=sys.__stdout__, flush=True)


async def _work(suite: Suite, stage: Stage, numbers: Iterator[int]) -> int:
    reports, wanted = _Reports(), threading.Event()
    threading.Thread(target=_until_unwanted, args=(wanted,), daemon=True).start()
    try:
        async with contextlib.aclosing(run(suite, stage, numbers)) as done:
            async for _, seen in done:
                reports.note(seen)
                if wanted.is_set():
                    break
    except Failed as failed:
        reports.flush()
        why = "".join(traceback.format_exception(failed.__cause__))
        say({"failed": failed.number, "why": why})
        return 1
    reports.flush()
    return 0


def _until_unwanted(unwanted: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1024):
            pass
    unwanted.set()


def main() -> int:
    """Do cases until told to stop."""
    logging.getLogger().addHandler(logging.NullHandler())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--cases", type=int)
    options = parser.parse_args()
    plant()
    suite = all_suites()[options.suite]
    numbers = itertools.count(options.first, options.step)
    with stage_of(options.seed) as stage, contextlib.redirect_stdout(sys.stderr):
        chosen = itertools.islice(numbers, options.cases)
        return uvloop.run(_work(suite, stage, chosen))


if __name__ == "__main__":
    sys.exit(main())
