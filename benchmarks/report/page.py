"""The HTML report: styles and plots within the file, nothing from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Final, TypeVar

from benchmarks.compare import warnings
from benchmarks.report import plots
from benchmarks.report.words import (
    change_words,
    number,
    spread_words,
    stretch_words,
    summary,
    target_words,
)
from benchmarks.results import Check, Finding, Run, Series, Verdict
from benchmarks.stats import spread_of

T = TypeVar("T")
_STYLE: Final = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff;
       max-width: 74rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.4rem; }
table { border-collapse: collapse; width: 100%; margin: .8rem 0; font-size: .92rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd;
         vertical-align: top; }
td.figure { font-variant-numeric: tabular-nums; }
td { overflow-wrap: break-word; }
.stretch, .met, .unmet, .missing, .reported { white-space: nowrap; }
.bar { position: relative; display: block; width: 7rem; height: .8rem; background: #f0f0ee; }
.bar i { position: absolute; top: 0; height: 100%; background: #9cc3e6; }
.bar b { position: absolute; top: 0; width: 2px; height: 100%; background: #1a4f80; }
.bar u { position: absolute; top: -.2rem; width: 2px; height: 1.2rem; background: #b3261e; }
@media (max-width: 48rem) {
  body { margin: 1rem auto; padding: 0 .6rem; }
  thead { display: none; }
  tr { display: block; border-bottom: 2px solid #ccc; padding: .3rem 0; }
  td { display: block; border: 0; padding: .05rem 0; }
  td[data-head]:not(:empty)::before { content: attr(data-head) ": "; color: #666; }
}
code, pre { font: 12.5px/1.45 ui-monospace, monospace; }
pre { background: #f6f6f4; padding: .7rem; overflow-x: auto; white-space: pre-wrap; }
img { max-width: 100%; display: block; margin: .6rem 0; }
.stretch, .met { color: #146c2e; font-weight: 600; } .unmet { color: #b3261e; font-weight: 600; }
.missing { color: #8a5a00; font-weight: 600; } .reported { color: #245a92; }
.failure { background: #fff4e0; border-left: 4px solid #c77700; padding: .5rem .8rem; }
"""
_BARS: Final = (
    "<p>A bar is the spread from least to greatest, its dark line the median, the red one the "
    "target.</p>"
)
_CLASSES: Final = {
    Verdict.STRETCH: "stretch",
    Verdict.MET: "met",
    Verdict.UNMET: "unmet",
    Verdict.REPORTED: "reported",
    Verdict.MISSING: "missing",
}


def html_report(run: Run, last: Run | None = None) -> str:
    """The whole page; beside each figure that of the ``last`` run, if there was one."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>Filestore Gateway: benchmarks of {escape(run.started)}</title>",
        f"<style>{_STYLE}</style>",
        "<h1>Filestore Gateway: benchmarks</h1>",
        f"<p>{escape(run.started)}, {run.seconds / 60:.1f} minutes, {escape(run.scale)} scale.</p>",
        *(f"<p>{escape(sentence)}</p>" for sentence in summary(run)),
        _headline(run, last),
        _BARS,
        *(_beside(run, last) if last is not None else ()),
        _list(run.notes),
        "<h2>Machine and versions</h2>",
        _pairs({**run.machine, **run.versions}),
        *(_section(finding) for finding in run.findings),
        "</html>\n",
    ]
    return "\n".join(parts)


def markdown_table(run: Run) -> str:
    """The headline table for ``docs/benchmarks.md``."""
    lines = ["| # | Scenario | Target | Stretch | Result | |", "|---|---|---|---|---|---|"]
    for finding in run.findings:
        for check in finding.checks:
            title = f"{finding.title}: {check.label}" if len(finding.checks) > 1 else finding.title
            cells = (
                *(str(finding.number), title, target_words(check), stretch_words(check)),
                *(spread_words(check), check.verdict.value),
            )
            lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _beside(run: Run, last: Run) -> list[str]:
    """Which run the last one was, and why the two may not be comparable."""
    said = [f"<p>The last run: {escape(last.started)}, {escape(last.scale)} scale.</p>"]
    different = warnings(last, run)
    if different:
        said += ["<p class=failure>Not the same as then:</p>", _list(different)]
    return said


def _bar(check: Check) -> str:
    """The spread, and where the target is, on a line from nothing to a bit beyond both."""
    spread, target = check.spread, check.target.target
    if spread is None:
        return ""
    end = max(spread.high, target or 0.0, 1e-9) * 1.1
    at = [100 * max(value, 0.0) / end for value in (spread.low, spread.high, spread.median)]
    mark = "" if target is None else f"<u style='left:{100 * target / end:.1f}%'></u>"
    return (
        f"<span class=bar><i style='left:{at[0]:.1f}%;width:{max(at[1] - at[0], 0.8):.1f}%'></i>"
        f"<b style='left:{at[2]:.1f}%'></b>{mark}</span>"
    )


def _headline(run: Run, last: Run | None) -> str:
    rows = []
    earlier = {
        (finding.number, check.label): check
        for finding in (last.findings if last is not None else ())
        for check in finding.checks
    }
    for finding in run.findings:
        for place, check in enumerate(finding.checks):
            first = place == 0
            verdict = f"<span class={_CLASSES[check.verdict]}>{check.verdict.value}</span>"
            cells = (
                f"<a href='#s{finding.number}'>{finding.number}</a>" if first else "",
                escape(finding.title) if first else "",
                escape(check.label),
                *(escape(target_words(check)), escape(stretch_words(check))),
                *(escape(spread_words(check)), _bar(check), verdict),
                escape(change_words(check, earlier.get((finding.number, check.label)))),
            )
            rows.append(cells)
    heads = ("#", "Scenario", "Figure", "Target", "Stretch", "Result", "Spread", "", "Last run")
    return _table(heads, rows)


def _peers(finding: Finding) -> str:
    """Everybody who was measured, by median, and who is missing."""
    if not finding.series:
        return ""
    metric = finding.series[0].metric
    measured = [
        f"{each.subject} {number(spread_of(each.values).median)} {each.unit}"
        for each in finding.series
        if each.metric == metric
    ]
    return ", ".join(measured + [f"{name}: missing" for name in finding.missing])


def _section(finding: Finding) -> str:
    parts = [f"<h2 id=s{finding.number}>{finding.number}. {escape(finding.title)}</h2>"]
    if finding.failure is not None:
        parts.append(f"<p class=failure>Not (wholly) measured: {escape(finding.failure)}</p>")
    parts += (
        f"<p><b>{escape(check.label)}</b>: {escape(spread_words(check))}, "
        f"target {escape(target_words(check))}, <span class={_CLASSES[check.verdict]}>"
        f"{check.verdict.value}</span></p>"
        for check in finding.checks
    )
    if finding.series:
        parts += [_series_table(finding.series), f"<p>{escape(_peers(finding))}</p>"]
    parts += _plots(finding)
    if finding.missing:
        parts += ["<p>Missing peers:</p>", _pairs(finding.missing)]
    if finding.versions:
        parts += ["<p>Versions:</p>", _pairs(finding.versions)]
    parts.append(_list(finding.notes))
    if finding.commands:
        parts.append(f"<pre>{escape(chr(10).join(finding.commands))}</pre>")
    if finding.seconds:
        parts.append(f"<p>Took {finding.seconds:.0f} s.</p>")
    return "\n".join(parts)


def _plots(finding: Finding) -> list[str]:
    images = [
        _image(plots.side_by_side(metric, group), metric)
        for metric, group in _grouped(finding.series, lambda series: series.metric)
        if len(group) > 1
    ]
    if finding.latencies:
        images.append(_image(plots.distribution(finding.latencies), "latency distribution"))
    images += (
        _image(plots.over_time(group), metric)
        for metric, group in _grouped(finding.timelines, lambda line: f"{line.metric} {line.unit}")
    )
    return images


def _grouped(items: Iterable[T], key: Callable[[T], str]) -> list[tuple[str, list[T]]]:
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def _series_table(series: Sequence[Series]) -> str:
    rows = []
    for each in series:
        spread = spread_of(each.values)
        figures = [number(x) for x in (spread.median, spread.low, spread.high)]
        name = escape(f"{each.metric}, {each.unit}".rstrip(", "))
        rows.append((escape(each.subject), name, *figures, str(spread.count)))
    return _table(("Subject", "Figure", "Median", "Least", "Greatest", "Rounds"), rows)


def _image(svg: str, text: str) -> str:
    encoded = base64.b64encode(svg.encode()).decode()
    return f"<img alt='{escape(text, quote=True)}' src='data:image/svg+xml;base64,{encoded}'>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML already."""
    head = "".join(f"<th>{escape(each)}</th>" for each in heads)
    body = "".join(f"<tr>{''.join(map(_cell, heads, row))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(head: str, content: str) -> str:
    is_figure = content[:1].isdigit() or content[:1] in {"≥", "≤"}
    named = f" data-head='{escape(head, quote=True)}'" if head else ""
    return f"<td{' class=figure' if is_figure else ''}{named}>{content}</td>"


def _pairs(pairs: dict[str, str]) -> str:
    return _table(("", ""), [(escape(name), escape(value)) for name, value in pairs.items()])


def _list(items: Sequence[str]) -> str:
    if not items:
        return ""
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"
