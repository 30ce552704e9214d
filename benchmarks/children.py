"""Child processes: started in their own folder, waited for, ended by their own id."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 20.0


class ChildFailed(RuntimeError):
    """A program did not start, or ended badly; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Child:
    """A program that runs: its process id, its command line, where its output goes."""

    pid: int
    command: str
    log: Path
    process: subprocess.Popen[bytes]


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as attempt:
        attempt.bind((HOST, 0))
        port: int = attempt.getsockname()[1]
    return port


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    port: int,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    cpu: int | None = None,
    start_seconds: float = _START_SECONDS,
) -> Iterator[Child]:
    """The program, once it accepts connections on ``port``; ended with the block.

    Raises ``ChildFailed`` if it does not come up.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output, pinned(cpu):
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    child = Child(process.pid, shown(command), log, process)
    try:
        _wait_for(child, port, start_seconds)
        yield child
    finally:
        stop(process)


@contextlib.contextmanager
def pinned(cpu: int | None) -> Iterator[None]:
    """What is started in the block runs on one core."""
    if cpu is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end; if it does not listen, end it."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    """Whether something accepts connections on the port."""
    with socket.socket() as attempt:
        attempt.settimeout(0.5)
        return attempt.connect_ex((HOST, port)) == 0


def output_of(
    command: Sequence[str | Path],
    *,
    timeout: float,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """What a program that ends by itself prints. Raises ``ChildFailed``."""
    try:
        finished = subprocess.run(
            list(map(str, command)),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ChildFailed(f"{shown(command)}: {exc}") from exc
    if finished.returncode:
        words = (finished.stderr.strip() or finished.stdout.strip())[-600:]
        raise ChildFailed(f"{shown(command)}: exit status {finished.returncode}: {words}")
    return finished.stdout


def first_line(command: Sequence[str | Path]) -> str:
    """The first line a program prints, wherever; some print their version with status 1."""
    finished = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, timeout=20
    )
    lines = (finished.stdout + finished.stderr).strip().splitlines()
    return lines[0].strip() if lines else "unknown"


def shown(command: Sequence[str | Path]) -> str:
    """The command as it would be typed."""
    return shlex.join(map(str, command))


def _wait_for(child: Child, port: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not answers(port):
        if child.process.poll() is not None or time.monotonic() > deadline:
            words = child.log.read_text(errors="replace")[-1500:]
            raise ChildFailed(f"{child.command} did not come up: {words}")
        time.sleep(0.02)
