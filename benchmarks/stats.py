"""Medians and spreads. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds gave: the middle, and how far the rest lies from it."""

    median: float
    low: float
    high: float
    count: int


def spread_of(values: Iterable[float]) -> Spread:
    """Median, least and greatest. Raises ``ValueError`` for no values, or one that is no number."""
    given = sorted(values)
    if not given:
        raise ValueError("nothing was measured")
    if not all(map(math.isfinite, given)):
        raise ValueError("a measurement is no finite number")
    return Spread(statistics.median(given), given[0], given[-1], len(given))


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, ...]:
    """Round by round, one divided by the other: what two subjects share within a round cancels.

    Raises ``ValueError`` if the rounds differ in number or a denominator is not positive.
    """
    if len(numerators) != len(denominators) or not numerators:
        raise ValueError("a ratio needs the same rounds of both")
    if any(value <= 0 for value in denominators):
        raise ValueError("a ratio needs positive denominators")
    return tuple(n / d for n, d in zip(numerators, denominators, strict=True))


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The rise of y per x of the line that fits best. Raises ``ValueError`` below two points."""
    if len(points) < 2:
        raise ValueError("a line needs two points")
    line = statistics.linear_regression(*zip(*points, strict=True))
    return line.slope
