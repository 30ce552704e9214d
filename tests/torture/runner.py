"""Runs a suite in processes of its own, shows how far it is, and keeps that.

Rule: a process that says nothing for longer than a case may take is ended, and its case has failed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Final

from tests.torture.progress import ROOT, Progress
from tests.torture.suite import Seen, Suite

WORKER: Final = (sys.executable, "-m", "tests.torture.worker")
MOST_FAILURES: Final = 5
_SAVE_SECONDS: Final = 2.0
_LOG_SECONDS: Final = 30.0
_START_SECONDS: Final = 300.0


class Runner:
    """One suite on its way to its goal."""

    def __init__(
        self,
        suite: Suite,
        progress: Progress,
        command: Sequence[str] = WORKER,
        start_seconds: float = _START_SECONDS,
        stopping: asyncio.Event | None = None,
    ) -> None:
        self._suite, self._progress = suite, progress
        self._command, self._patience = command, suite.seconds + start_seconds
        self._stopping = stopping or asyncio.Event()
        self._base, self._started = progress.seconds, time.monotonic()

    async def run(self) -> bool:
        """Go on until the goal, too many failures, or ``stopping``; whether the goal was reached."""
        await self._try_failures_again()
        async with asyncio.TaskGroup() as tasks:
            showing = tasks.create_task(self._show())
            rows = [tasks.create_task(self._row(n)) for n in range(self._suite.processes)]
            await asyncio.wait(rows)
            showing.cancel()
        self._save()
        return self._reached

    @property
    def failures(self) -> list[int]:
        """The cases that were not as promised."""
        return [failure["case"] for failure in self._progress.failures]

    @property
    def _reached(self) -> bool:
        return self._progress.count(self._suite) >= self._progress.goal

    @property
    def _over(self) -> bool:
        too_many = len(self._progress.failures) >= MOST_FAILURES
        return self._reached or too_many or self._stopping.is_set()

    async def _try_failures_again(self) -> None:
        """What failed before may be mended."""
        for failure in tuple(self._progress.failures):
            async for said in self._said_by(failure["case"], 1, "--cases", "1"):
                if "failed" not in said:
                    self._progress.failures.remove(failure)
                    self._progress.seen += Seen(said["seen"])

    async def _row(self, process: int) -> None:
        while not self._over:
            first, step = self._progress.next_of(process), self._suite.processes
            async for said in self._said_by(first, step):
                self._note(process, said)

    def _note(self, process: int, said: dict[str, Any]) -> None:
        if "failed" in said:
            self._progress.done[process] += 1
            self._progress.failures.append({"case": said["failed"], "why": said["why"]})
            self._save()
            print(f"\n{self._suite.name}: case {said['failed']}\n{said['why']}", file=sys.stderr)
            return
        self._progress.done[process] += said["cases"]
        self._progress.seen += Seen(said["seen"])

    async def _said_by(
        self, first: int, step: int, *more: str
    ) -> AsyncGenerator[dict[str, Any], None]:
        """What a process says, until it ends by itself or nobody wants it any more."""
        arguments = ("--seed", self._progress.seed, "--first", first, "--step", step, *more)
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *(self._suite.name, *map(str, arguments)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
            start_new_session=True,
        )
        last = first
        try:
            async with contextlib.aclosing(self._lines(process)) as lines:
                async for said in lines:
                    last += said.get("cases", 0) * step
                    yield said
        except TimeoutError:
            process.kill()
            yield {"failed": last, "why": "nothing was heard of the process: it hangs"}
        except EOFError as exc:
            yield {"failed": last, "why": str(exc)}
        finally:
            await _end(process)

    async def _lines(
        self, process: asyncio.subprocess.Process
    ) -> AsyncGenerator[dict[str, Any], None]:
        assert process.stdout is not None
        assert process.stdin is not None
        said = None
        while True:
            async with asyncio.timeout(self._patience):
                line = await process.stdout.readline()
            if not line:
                break
            said = json.loads(line)
            yield said
            if self._over:
                process.stdin.close()
        if await process.wait() != 0 and (said is None or "failed" not in said):
            raise EOFError("the process ended without a word")

    async def _show(self) -> None:
        """On one line where somebody looks at it, a line a minute where it is kept."""
        looked_at, shown = sys.stderr.isatty(), 0.0
        while True:
            if looked_at or time.monotonic() - shown > _LOG_SECONDS:
                ends = ("\r", "") if looked_at else ("", "\n")
                print(ends[0] + self.line(), end=ends[1], file=sys.stderr, flush=True)
                shown = time.monotonic()
            self._save()
            await asyncio.sleep(_SAVE_SECONDS)

    def _save(self) -> None:
        self._progress.seconds = self._base + time.monotonic() - self._started
        self._progress.save()

    def line(self) -> str:
        """How far it is, how long it took, and how long it will."""
        progress, count = self._progress, self._progress.count(self._suite)
        spent = self._base + time.monotonic() - self._started
        left = spent / count * max(0, progress.goal - count) if count else 0
        return (
            f"{self._suite.name:12} {count:>9,} of {progress.goal:,} {self._suite.unit},"
            f" {len(progress.failures)} failures, {spent:.0f} s, about {left:.0f} s left   "
        )


async def _end(process: asyncio.subprocess.Process) -> None:
    """And whatever it started."""
    if process.returncode is None:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
