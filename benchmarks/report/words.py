"""Figures in words. Pure."""

from __future__ import annotations

from benchmarks.results import Aim, Check, Run, Verdict


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


def summary(run: Run) -> list[str]:
    """What the run came to, in a few sentences."""
    judged = [
        (finding, check)
        for finding in run.findings
        for check in finding.checks
        if check.target.aim is not Aim.REPORTED and check.verdict is not Verdict.MISSING
    ]
    met = [check for _, check in judged if check.verdict is not Verdict.UNMET]
    further = sum(check.verdict is Verdict.STRETCH for check in met)
    missed = [
        f"{finding.number} ({check.label}): {spread_words(check)}, wanted {target_words(check)}"
        for finding, check in judged
        if check.verdict is Verdict.UNMET
    ]
    absent = [str(f.number) for f in run.findings if all(c.spread is None for c in f.checks)]
    said = [f"{len(met)} of {len(judged)} targets are met, {further} of them with the stretch."]
    said += ["Missed: " + "; ".join(missed) + "."] if missed else []
    said += [f"Not measured: rows {', '.join(absent)}."] if absent else []
    if run.scale != "full":
        said.append(f"A run of {run.scale} scale shows that it works; its figures prove little.")
    return said


def change_words(check: Check, last: Check | None) -> str:
    """The median of the last run, and by how much this one is above or below it."""
    if last is None or last.spread is None or check.spread is None:
        return ""
    was, now = last.spread.median, check.spread.median
    change = f" ({(now - was) / abs(was):+.0%})" if was else ""
    return f"{number(was)}{change}"


def _bound(check: Check, bound: float | None) -> str:
    if check.target.aim is Aim.REPORTED or bound is None:
        return "reported"
    sign = "≥" if check.target.aim is Aim.AT_LEAST else "≤"
    return f"{sign} {number(bound)}{_unit(check)}"


def _unit(check: Check) -> str:
    unit = check.target.unit
    return f" {unit}" if unit and unit != "x" else unit.replace("x", " ×")
