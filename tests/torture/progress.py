"""How far a suite came, in a file that outlives the run; and the result that is kept in the repository.

Rule: a file is whole or the one before; what was done is never counted twice.
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from tests.torture.suite import Seen, Suite, all_suites

ROOT: Final = Path(__file__).parents[2]
OUT: Final = ROOT / "tests" / "out" / "torture"
RESULT: Final = Path(__file__).with_name("result.json")


@dataclass(slots=True)
class Progress:
    """One suite under one seed. ``done`` counts the cases of each process, also those that failed.

    ``failures`` are the cases that were not as promised: ``{"case": number, "why": traceback}``.
    """

    suite: str
    goal: int
    seed: int
    done: list[int]
    seen: Seen = field(default_factory=Seen)
    failures: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    commits: list[str] = field(default_factory=list)

    @property
    def cases(self) -> int:
        """All that were done."""
        return sum(self.done)

    def count(self, suite: Suite) -> int:
        """In the suite's own unit."""
        return suite.counted(self.cases, self.seen)

    def next_of(self, process: int) -> int:
        """The number of the next case of that process; they take turns."""
        return process + self.done[process] * len(self.done)

    def save(self) -> None:
        """Keep it."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        write(path_of(self.suite, self.goal), kept)


def path_of(suite: str, goal: int) -> Path:
    """Each goal is a run of its own."""
    return OUT / f"{suite}-{goal}.json"


def begun(suite: Suite, goal: int, seed: int, *, again: bool) -> Progress:
    """Where the run with this goal and seed stands, or a new one."""
    path = path_of(suite.name, goal)
    progress = Progress(suite.name, goal, seed, [0] * suite.processes)
    if path.exists() and not again:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["seed"] == seed and len(kept["done"]) == suite.processes:
            progress = Progress(**(kept | {"seen": Seen(kept["seen"])}))
    if commit() not in progress.commits:
        progress.commits.append(commit())
    return progress


def note_result(suite: Suite, progress: Progress, path: Path = RESULT) -> None:
    """Put what a full run came to, so far, into the file that is committed."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    kept[suite.name] = {
        "unit": suite.unit,
        "count": progress.count(suite),
        "goal": progress.goal,
        "cases": progress.cases,
        "seed": progress.seed,
        "failures": [_told(failure) for failure in progress.failures],
        "seconds": round(progress.seconds),
        "commit": progress.commits[-1],
        "python": platform.python_version(),
        "seen": dict(sorted(progress.seen.items())),
    }
    write(path, dict(sorted(kept.items())))


def _told(failure: dict[str, Any]) -> dict[str, Any]:
    """What it came to; the traceback names the machine's folders."""
    return failure | {"why": failure["why"].strip().rpartition("\n")[2]}


def table(path: Path = RESULT) -> str:
    """The table of the document, from the result that is kept."""
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows = ["| Suite | Done | Violations | Took | Seed | At commit |", "|---|---|---|---|---|---|"]
    return "\n".join([*rows, *_rows(kept)]) + "\n"


def suites_table() -> str:
    """What each suite does, and how much of it is full."""
    rows = [f"| `{s.name}` | {s.what} | {s.full:,} {s.unit} |" for s in all_suites().values()]
    return "\n".join(["| Suite | Does | In full |", "|---|---|---|", *rows]) + "\n"


def _rows(kept: dict[str, Any]) -> Iterator[str]:
    for name, found in kept.items():
        done = f"{found['count']:,} {found['unit']}"
        if found["count"] < found["goal"]:
            done += f" of {found['goal']:,}, to be continued"
        yield (
            f"| `{name}` | {done} | {len(found['failures'])}"
            f" | {_time(found['seconds'])} | {found['seed']} | `{found['commit'][:9]}` |"
        )


def _time(seconds: int) -> str:
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"


def write(path: Path, value: object) -> None:
    """JSON, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


def commit() -> str:
    """What is checked out; with a ``+`` if the tree is not what was committed."""
    said = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty=+"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip()
