"""Runs scenarios one after the other. Whatever happens to one, the others are run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks.bench import Bench, CannotRun, Missing
from benchmarks.children import ChildFailed
from benchmarks.machine import machine, versions
from benchmarks.progress import Terminal
from benchmarks.results import Finding, Run
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.targets import ROWS
from gateway.fleet.aim import Refused

NOTES = (
    "All servers and load generators share this machine; only ratios within one run count.",
    "Subjects take turns (A B C, C B A, ...); ratios are taken round by round.",
    "Figures are medians over the rounds, with least and greatest.",
    "The gateway runs with GATEWAY_ACCESS_LOG=false, peers without access log, each on one worker.",
)


def run_scenarios(bench: Bench, numbers: Sequence[int], terminal: Terminal) -> Run:
    """The run of these scenarios; every row of the table has a finding, measured or not."""
    began = time.monotonic()
    started = datetime.now(UTC).isoformat(timespec="seconds")
    about = machine(bench.work)
    findings = []
    for number in ROWS:
        if number in numbers:
            findings.append(_measured(bench, number, SCENARIOS[number], terminal))
        else:
            findings.append(_fresh(number, "left out by --only"))
    return Run(
        started,
        time.monotonic() - began,
        bench.scale.name,
        about,
        versions(),
        tuple(findings),
        NOTES,
    )


def _fresh(number: int, failure: str | None = None) -> Finding:
    row = ROWS[number]
    return Finding(number, row.title, checks=row.unmeasured(), failure=failure)


def _measured(bench: Bench, number: int, scenario: Scenario, terminal: Terminal) -> Finding:
    finding, began = _fresh(number), time.monotonic()
    terminal.begin(finding)
    try:
        scenario(bench, finding)
    except (CannotRun, Missing, ChildFailed, Refused) as exc:
        finding.failure = str(exc)
    except Exception as exc:  # noqa: BLE001 - the report says so, and the next one is run
        finding.failure = f"{type(exc).__name__}: {exc}"
    finding.seconds = time.monotonic() - began
    terminal.end(finding)
    return finding
