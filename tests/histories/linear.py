"""Whether a history of one name is linearizable: a register that may also be empty.

Theory of operation. Each operation has an interval of real time, says what it must have found (``saw``)
and may have left something else (``left``). A history is right if every operation can be given one moment
within its interval so that each finds what the one before it left. The search takes, again and again, an operation that
began before every operation that is left ended, and backs out where that leads nowhere; what it has
tried is remembered by the operations that are done and the value they left (Wing and Gong, 1993; Lowe, 2017).

Knows nothing of gateways.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

Value = object
ABSENT: Value = None


class Saw(Enum):
    """What the name had when the operation took place."""

    ANYTHING = "anything"
    NOTHING = "nothing"
    SOMETHING = "something"
    THIS = "this"
    NOT_THIS = "not this"


class Unchanged:
    """What an operation left that changed nothing."""


KEPT = Unchanged()


class Violation(AssertionError):
    """No order of one after the other explains what was seen."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation on one name, ``began`` and ``ended`` by one clock.

    ``value`` is what is compared with (``THIS``, ``NOT_THIS``); ``left`` is the name's value afterwards.
    """

    began: float
    ended: float
    saw: Saw
    value: Value = ABSENT
    left: Value = KEPT
    told: str = ""

    def fits(self, current: Value) -> bool:
        """Whether it may have taken place while the name had this value."""
        match self.saw:
            case Saw.ANYTHING:
                return True
            case Saw.NOTHING:
                return current is ABSENT
            case Saw.SOMETHING:
                return current is not ABSENT
            case Saw.THIS:
                return current == self.value
            case Saw.NOT_THIS:
                return current != self.value

    def after(self, current: Value) -> Value:
        """What the name has afterwards."""
        return current if self.left is KEPT else self.left

    def __str__(self) -> str:
        what = f"{self.saw.value} {self.value}" if "this" in self.saw.value else self.saw.value
        left = "" if self.left is KEPT else f", left {self.left}"
        return f"{self.began:.6f} - {self.ended:.6f} {self.told}: saw {what}{left}"


def check(history: Iterable[Operation], first: Value = ABSENT) -> Value:
    """What the name has at the end. Raises ``Violation`` with the history if it has no order."""
    operations = sorted(history, key=lambda one: one.began)
    everything = (1 << len(operations)) - 1
    ways, tried = [(0, first)], {(0, first)}
    while ways:
        done, value = ways.pop()
        if done == everything:
            return value
        for number in _next(operations, done):
            one = operations[number]
            if one.fits(value):
                way = (done | 1 << number, one.after(value))
                if way not in tried:
                    tried.add(way)
                    ways.append(way)
    raise Violation("no order explains this:\n" + "\n".join(map(str, operations)))


def _next(operations: Sequence[Operation], done: int) -> Iterator[int]:
    """Those that may come next, the first to end last: it is tried first."""
    begin = _lowest_unset(done)
    left = []
    deadline = float("inf")
    for number in range(begin, len(operations)):
        one = operations[number]
        if one.began > deadline:
            break
        if not done >> number & 1:
            left.append(number)
            deadline = min(deadline, one.ended)
    possible = (n for n in left if operations[n].began <= deadline)
    yield from sorted(possible, key=lambda n: -operations[n].ended)


def _lowest_unset(bits: int) -> int:
    return (~bits & (bits + 1)).bit_length() - 1
