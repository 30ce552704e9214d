"""``make explore``: the tests that make choices go where nobody was before, for as long as they are given.

Every file of tests that draws on ``tests.chance`` or Hypothesis is run again and again, each time from a seed
of its own; so is every program: a module ``explore_<what>.py`` below ``tests`` that takes ``--seed`` and ``--seconds``,
prints what it found, and last of all one line of JSON that says what it did.

Rule: a failure is printed whole, with the one command that brings it back, and ends the exploration with
status 1. What was found becomes a case of its own (``@example``, or a row of a table) in the same change that mends it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import hypothesis

from tests.chance import EXPLORE

ROOT = Path(__file__).parent.parent
_USES_CHANCE = re.compile(r"^from (hypothesis|tests\.chance) import", re.MULTILINE)
_PASSED = re.compile(r"(\d+) passed")
_EXAMPLES = re.compile(r"(\d+) passing examples")
_LATE_SECONDS = 20


@dataclass(slots=True)
class Result:
    """What an exploration did."""

    seed: int
    seconds: float
    runs: dict[str, int] = field(default_factory=dict)
    tests: int = 0
    examples: int = 0
    programs: dict[str, object] = field(default_factory=dict)
    failures: list[dict[str, str]] = field(default_factory=list)
    python: str = platform.python_version()
    hypothesis: str = hypothesis.__version__


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended: its status, ``None`` if its time was over, and what it said."""

    status: int | None
    said: str


def files() -> list[str]:
    """The test files that make choices."""
    found = (ROOT / "tests").rglob("test_*.py")
    chosen = (path for path in found if _USES_CHANCE.search(path.read_text(encoding="utf-8")))
    return sorted(str(path.relative_to(ROOT)) for path in chosen)


def programs() -> list[str]:
    """The modules that explore by themselves."""
    found = (ROOT / "tests").rglob("explore_*.py")
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in found)


def explore(result: Result) -> None:
    """Fill ``result``: the programs have an equal share of its time each, the files one together."""
    share = result.seconds / (len(programs()) + 1)
    for module in programs():
        _run_program(module, result, share)
    end, seeds = time.monotonic() + share, random.Random(result.seed)
    for file in _again_and_again(files(), seeds):
        if time.monotonic() >= end or result.failures:
            return
        _run_file(file, seeds.randrange(2**32), result, end)


def _again_and_again(names: Sequence[str], choice: random.Random) -> Iterator[str]:
    while names:
        yield from choice.sample(names, len(names))


def _run_program(module: str, result: Result, seconds: float) -> None:
    command = ["-m", module, "--seed", str(result.seed), "--seconds", str(int(seconds))]
    ran = run(command, seconds + _LATE_SECONDS, {})
    last = ran.said.strip().rpartition("\n")[2]
    result.programs[module] = json.loads(last) if last.startswith("{") else last
    if ran.status != 0:
        _fail(result, f"python {' '.join(command)}", ran.said)


def _run_file(file: str, seed: int, result: Result, end: float) -> None:
    command = ["-m", "pytest", "-q", "-x", f"--hypothesis-seed={seed}", file]
    shown = ["--hypothesis-show-statistics", "-p", "no:cacheprovider", "--timeout=1800"]
    ran = run([*command, *shown], end - time.monotonic(), {EXPLORE: str(seed)})
    if ran.status is None:
        return
    result.runs[file] = result.runs.get(file, 0) + 1
    result.tests += sum(map(int, _PASSED.findall(ran.said)[-1:]))
    result.examples += sum(map(int, _EXAMPLES.findall(ran.said)))
    if ran.status != 0:
        _fail(result, f"{EXPLORE}={seed} python {' '.join(command)}", ran.said)


def _fail(result: Result, again: str, said: str) -> None:
    print(f"{said}\n\nAgain by: {again}", flush=True)
    result.failures.append({"again": again, "said": said[-4000:]})


def _listen_to_interrupts() -> None:
    """A shell that starts us in the background has them ignored, by us and by all we start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run(arguments: Sequence[str], seconds: float, environment: dict[str, str]) -> Ran:
    """Python with these arguments; interrupted when its ``seconds`` are over."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 - no thread of ours runs beside it
    )
    try:
        said, _ = process.communicate(timeout=max(1.0, seconds))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # so that servers it started end in order
        said, _ = process.communicate()
        return Ran(None, said)
    return Ran(process.returncode, said)


def main() -> int:
    """Explore, write the result, and say whether something was found."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--result", type=Path, required=True, help="where to write the JSON result")
    options = parser.parse_args()
    result = Result(options.seed, options.seconds)
    print(f"seed {result.seed}, for {result.seconds} seconds", flush=True)
    explore(result)
    text = json.dumps(asdict(result), indent=2, sort_keys=True) + "\n"
    options.result.parent.mkdir(parents=True, exist_ok=True)
    options.result.write_text(text, encoding="utf-8")
    print(text, end="")
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
