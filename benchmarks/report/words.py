"""Figures in words. Pure."""

from __future__ import annotations

from benchmarks.results import Aim, Check


def number(value: float) -> str:
    """A figure with about three digits that mean something."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.005 or value == 0 else f"{value:.2g}"


def spread_words(check: Check) -> str:
    """Median, and least to greatest."""
    spread = check.spread
    if spread is None:
        return "-"
    middle = f"{number(spread.median)}{_unit(check)}"
    if spread.count == 1:
        return middle
    return f"{middle} ({number(spread.low)} to {number(spread.high)})"


def target_words(check: Check) -> str:
    """The bound, with its direction."""
    return _bound(check, check.target.target)


def stretch_words(check: Check) -> str:
    """The further bound."""
    return _bound(check, check.target.stretch)


def _bound(check: Check, bound: float | None) -> str:
    if check.target.aim is Aim.REPORTED or bound is None:
        return "reported"
    sign = "≥" if check.target.aim is Aim.AT_LEAST else "≤"
    return f"{sign} {number(bound)}{_unit(check)}"


def _unit(check: Check) -> str:
    unit = check.target.unit
    return f" {unit}" if unit and unit != "x" else unit.replace("x", " ×")
