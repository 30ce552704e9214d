"""Plots as SVG text, drawn by matplotlib without a display.

Each is an image by itself, so that no two share an id. Text stays text.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Final, TypeVar

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Latency, Series, Timeline
from benchmarks.stats import spread_of

T = TypeVar("T")
_COLOURS: Final = (
    *("#1a6fb0", "#d9822b", "#3a9a5b", "#a54ca0", "#7a7a7a", "#c23b3b", "#00868b", "#8a6d3b"),
)


def side_by_side(metric: str, series: Sequence[Series]) -> str:
    """A bar for each subject, with least and greatest marked."""
    with _style():
        figure = Figure(figsize=(7.2, 0.7 + 0.38 * len(series)), layout="constrained")
        axes = figure.add_subplot()
        spreads = [spread_of(each.values) for each in series]
        middles = [spread.median for spread in spreads]
        below = [spread.median - spread.low for spread in spreads]
        above = [spread.high - spread.median for spread in spreads]
        places = range(len(series))
        colours = [_COLOURS[0 if "gateway" in s.subject else 4] for s in series]
        axes.barh(places, middles, xerr=[below, above], color=colours, ecolor="#222", capsize=2)
        axes.set_yticks(places, [each.subject for each in series])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"{metric} ({series[0].unit})" if series[0].unit else metric)
        return _svg(figure)


def distribution(latencies: Sequence[Latency]) -> str:
    """Latency over the share of requests that took longer: the tail to the right."""
    with _style():
        figure, axes = _empty()
        for colour, latency in _coloured(latencies):
            points = [(percent, value) for percent, value in latency.points if percent < 100]
            tail = [100 / (100 - percent) for percent, _ in points]
            axes.plot(tail, [value for _, value in points], color=colour, label=latency.subject)
        axes.set_xscale("log")
        axes.set_yscale("log")
        ticks = {2: "50", 10: "90", 100: "99", 1000: "99.9", 10_000: "99.99"}
        axes.set_xticks(list(ticks), list(ticks.values()))
        axes.minorticks_off()
        axes.set_xlabel("percent of requests")
        axes.set_ylabel("ms")
        axes.legend(frameon=False, fontsize=8)
        return _svg(figure)


def over_time(timelines: Sequence[Timeline]) -> str:
    """Lines of one metric."""
    with _style():
        figure, axes = _empty()
        for colour, line in _coloured(timelines):
            axes.plot(
                [at for at, _ in line.points],
                [value for _, value in line.points],
                color=colour,
                label=line.subject,
            )
        by_count = "over connections" in timelines[0].metric
        axes.set_xlabel("connections" if by_count else "s")
        axes.set_ylabel(f"{timelines[0].metric} ({timelines[0].unit})")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=8)
        return _svg(figure)


def _style() -> AbstractContextManager[None]:
    return mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "benchmarks",
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.3,
        }
    )


def _empty() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    return figure, figure.add_subplot()


def _coloured(items: Sequence[T]) -> Iterable[tuple[str, T]]:
    return ((_COLOURS[place % len(_COLOURS)], item) for place, item in enumerate(items))


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()
