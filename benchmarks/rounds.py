"""Taking turns: A B C, A B C ..., so that what drifts drifts for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from benchmarks.bench import CannotRun
from benchmarks.results import Finding

T = TypeVar("T")


def interleaved(
    subjects: Mapping[str, Callable[[], T]],
    rounds: int,
    *,
    told: Callable[[str, int, T], None] = lambda _name, _round, _value: None,
) -> dict[str, list[T]]:
    """What each subject gave in each round.

    The order turns round every other time, so that nobody always follows the same one.
    Raises whatever a subject raises.
    """
    found: dict[str, list[T]] = {name: [] for name in subjects}
    for number in range(rounds):
        names = list(subjects) if number % 2 == 0 else list(subjects)[::-1]
        for name in names:
            value = subjects[name]()
            found[name].append(value)
            told(name, number, value)
    return found


def warm_up(finding: Finding, subjects: dict[str, Callable[[], T]]) -> None:
    """Each subject once; who cannot is taken out, and the finding says why."""
    for name, work in list(subjects.items()):
        try:
            work()
        except CannotRun as exc:
            finding.missing[name] = str(exc)
            del subjects[name]
