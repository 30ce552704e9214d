"""An interpreter that was forked is as one that was started."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import warm

SEEN = """
import gc, os, signal, sys, threading
signals = {n.name: str(signal.getsignal(n)).partition(" at ")[0] for n in signal.valid_signals() if hasattr(n, "name")}
print(__name__, sys.argv, sys.stdin.read(), os.getcwd(), sorted(os.environ.items()), sorted(os.listdir("/proc/self/fd")))
print(gc.isenabled(), gc.get_threshold(), threading.active_count(), sys.getswitchinterval(), signals, sys.stdout.isatty())
print(os.getpgid(0) == os.getpgid(os.getppid()), signal.pthread_sigmask(signal.SIG_BLOCK, []), sys.flags, os.umask(0))
print("and on stderr", file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture
def environment() -> dict[str, str]:
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("GATEWAY_")}
    return inherited | {"GATEWAY_PORT": "1234", "LANGUAGE": "x"}


def test_what_is_forked_sees_what_is_started(tmp_path: Path, environment: dict[str, str]) -> None:
    started = subprocess.run(
        [sys.executable, "-c", SEEN, "one", "two"],
        cwd=tmp_path,
        env=environment,
        input="said to it",
        capture_output=True,
        text=True,
        check=False,
    )
    forked = warm.run("-c", SEEN, "one", "two", cwd=tmp_path, env=environment, stdin="said to it")
    assert (7, "and on stderr\n") == (started.returncode, started.stderr)
    assert (started.returncode, started.stdout, started.stderr) == (
        forked.returncode,
        forked.stdout,
        forked.stderr,
    )


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        pytest.param(0, "pass", id="well"),
        pytest.param(3, "import sys; sys.exit(3)", id="with a status"),
        pytest.param(1, "1 / 0", id="with an exception"),
        pytest.param(-9, "import os; os.kill(os.getpid(), 9)", id="killed"),
        pytest.param(5, "import atexit, os; atexit.register(os._exit, 5)", id="by its last words"),
    ],
)
def test_it_ends_as_an_interpreter_ends(
    environment: dict[str, str], expected: int, code: str
) -> None:
    assert expected == warm.run("-c", code, env=environment).returncode


def test_a_module_is_run_under_its_command_line(environment: dict[str, str]) -> None:
    shown = warm.run("-m", "gateway", "config", env=environment)
    assert (0, "", True) == (shown.returncode, shown.stderr, "GATEWAY_PORT=1234\n" in shown.stdout)


async def test_its_end_is_heard_by_all_who_wait(environment: dict[str, str]) -> None:
    process = warm.start("-c", "import time; time.sleep(60)", env=environment)
    waiting = [asyncio.create_task(process.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    assert process.returncode is None
    process.terminate()
    assert [-signal.SIGTERM] * 3 == await asyncio.gather(*waiting)
    process.kill()  # of nobody
    assert -signal.SIGTERM == process.returncode
