"""What a suite is, and what it is given.

Knows nothing of processes, progress or results: ``run`` does a row of cases in this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.torture import suites


class Violated(AssertionError):
    """A promise did not hold."""


Seen = Counter[str]
Case = Callable[[int, random.Random], Awaitable[Seen | None]]
"""Does the numbered case by choices of its own; what was seen, by its name.

Raises ``Violated``, or anything else that is not as promised.
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """What a row of cases has: an empty folder, and a PostgreSQL server that may create databases.

    The folder is memory where the machine has such, and the server does not wait for a disk.
    """

    folder: Path
    server: str
    seed: int


@dataclass(frozen=True, slots=True)
class Suite:
    """A kind of fault.

    ``full`` counts ``unit``: what the cases saw under that name, or the cases themselves if they saw none
    such. ``opened`` prepares a row of cases on a stage; the rows of several processes have a stage each.
    ``small`` is how many cases ``make test`` does. A case that takes longer than ``seconds`` has failed.
    """

    name: str
    what: str
    unit: str
    full: int
    small: int
    opened: Callable[[Stage], AbstractAsyncContextManager[Case]]
    processes: int = 2
    seconds: float = 60.0

    def counted(self, cases: int, seen: Seen) -> int:
        """How much of ``full`` has been done."""
        return seen[self.unit] or cases


def all_suites() -> dict[str, Suite]:
    """Every suite by its name."""
    names = sorted(module.name for module in pkgutil.iter_modules(suites.__path__))
    modules = (importlib.import_module(f"{suites.__name__}.{name}") for name in names)
    return {module.SUITE.name: module.SUITE for module in modules}


def chance(suite: Suite, seed: int, number: int) -> random.Random:
    """The choices of one case."""
    return random.Random(f"{suite.name}/{seed}/{number}")


class Failed(Exception):
    """A case that was not as promised: its number, and why (``__cause__``)."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


async def run(
    suite: Suite, stage: Stage, numbers: Iterable[int]
) -> AsyncGenerator[tuple[int, Seen], None]:
    """Do these cases, one after the other; what each saw. Raises ``Failed``."""
    async with suite.opened(stage) as case:
        for number in numbers:
            with _failing(number):
                async with asyncio.timeout(suite.seconds):
                    seen = await case(number, chance(suite, stage.seed, number))
            yield number, seen or Seen()


@contextlib.contextmanager
def _failing(number: int) -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        raise Failed(number) from exc
