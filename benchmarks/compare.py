"""Two results side by side: every check and every series that both have."""

from __future__ import annotations

from benchmarks.results import Run
from benchmarks.stats import spread_of

Row = tuple[str, float, float]


def compared(before: Run, after: Run) -> list[Row]:
    """Name, median before, median after; in the order of the first run."""
    later = _figures(after)
    return [(name, value, later[name]) for name, value in _figures(before).items() if name in later]


def warnings(before: Run, after: Run) -> list[str]:
    """Why the two may not be comparable."""
    found = [
        f"{name}: {value} / {after.machine.get(name, '?')}"
        for name, value in before.machine.items()
        if name != "load before the run" and after.machine.get(name) != value
    ]
    if before.scale != after.scale:
        found.append(f"scale: {before.scale} / {after.scale}")
    return found


def _figures(run: Run) -> dict[str, float]:
    figures: dict[str, float] = {}
    for finding in run.findings:
        for check in finding.checks:
            if check.spread is not None:
                figures[f"{finding.number}. {check.label}"] = check.spread.median
        for series in finding.series:
            name = f"{finding.number}. {series.subject}: {series.metric} {series.unit}".rstrip()
            figures[name] = spread_of(series.values).median
    return figures
