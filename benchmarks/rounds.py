"""Taking turns: A B C, A B C ..., so that what drifts drifts for all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeVar

from benchmarks.bench import CannotRun
from benchmarks.children import ChildFailed
from benchmarks.results import Finding

T = TypeVar("T")
_FAILS: Final = (CannotRun, ChildFailed)


def interleaved(
    finding: Finding,
    subjects: Mapping[str, Callable[[], T]],
    rounds: int,
    *,
    told: Callable[[str, int, T], None] = lambda _name, _round, _value: None,
) -> dict[str, list[T]]:
    """What each subject gave in each round.

    The order turns round every other time, so that nobody always follows the same one. Who fails
    is taken out of all rounds, and the finding says why; the others go on.
    """
    found: dict[str, list[T]] = {name: [] for name in subjects}
    for number in range(rounds):
        for name in list(found) if number % 2 == 0 else list(found)[::-1]:
            try:
                value = subjects[name]()
            except _FAILS as exc:
                finding.missing[name] = f"failed in round {number + 1}: {exc}"
                del found[name]
            else:
                found[name].append(value)
                told(name, number, value)
    return found


def check_there(finding: Finding, found: Collection[str], *names: str) -> None:
    """Raise ``CannotRun`` for the first of these that was not measured, with why."""
    for name in names:
        if name not in found:
            raise CannotRun(f"{name}: {finding.missing.get(name, 'missing')}")


def warm_up(finding: Finding, subjects: dict[str, Callable[[], T]]) -> None:
    """Each subject once; who cannot is taken out, and the finding says why."""
    for name, work in list(subjects.items()):
        try:
            work()
        except _FAILS as exc:
            finding.missing[name] = str(exc)
            del subjects[name]
