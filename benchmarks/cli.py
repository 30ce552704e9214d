"""The command line: run the scenarios, compare two results, print the table."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Run, Verdict, load_run, run_to_json
from benchmarks.targets import ROWS
from gateway.fleet.swarm import raise_descriptor_limit

_HERE = Path(__file__).parent
_DESCRIPTORS = 65_536


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status. Without one, ``run``."""
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or (given[0].startswith("-") and given[0] not in {"-h", "--help"}):
        given.insert(0, "run")
    arguments = _parser().parse_args(given)
    status: int = arguments.run(arguments)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    run = commands.add_parser("run", help="the scenarios of the table (the default)")
    run.add_argument("--quick", action="store_true", help="small sizes: does it work at all")
    run.add_argument("--only", type=_numbers, default=list(ROWS), metavar="2,3")
    run.add_argument("--output", type=Path, default=_HERE / "out", help="folder of the report")
    run.add_argument("--work", type=Path, default=_HERE / "out", help="disk to measure on")
    run.add_argument("--before", type=_checkout, help="an installed checkout to compare with")
    run.add_argument("--no-install", action="store_true", help="install no missing peer")
    run.add_argument(
        "--strict", action="store_true", help="status 2 if a target is not met, or not measured"
    )
    run.set_defaults(run=_run)
    compare = commands.add_parser("compare", help="two results side by side")
    compare.add_argument("before", type=Path)
    compare.add_argument("after", type=Path)
    compare.set_defaults(run=_compare)
    report = commands.add_parser("report", help="write the report of a result again")
    report.add_argument("result", type=Path)
    report.set_defaults(run=_report)
    table = commands.add_parser("table", help="the headline table of a result, in Markdown")
    table.add_argument("result", type=Path)
    table.set_defaults(run=_table)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from benchmarks.bench import Bench, work_folder
    from benchmarks.progress import Terminal
    from benchmarks.run import run_scenarios
    from benchmarks.scale import FULL, QUICK

    raise_descriptor_limit(_DESCRIPTORS)
    terminal = Terminal(len(arguments.only))
    with terminal.progress, work_folder(arguments.work) as work:
        scale = QUICK if arguments.quick else FULL
        bench = Bench(
            scale,
            work,
            _cache(),
            terminal,
            install=not arguments.no_install,
            before=arguments.before,
        )
        with bench.stack:
            run = run_scenarios(bench, arguments.only, terminal)
    arguments.output.mkdir(parents=True, exist_ok=True)
    result = arguments.output / "result.json"
    last = _last(result)
    result.write_bytes(run_to_json(run))
    _write_report(load_run(result), arguments.output / "report.html", last)
    terminal.console.print(f"report: {arguments.output / 'report.html'}")
    return exit_status(run, arguments.only, strict=arguments.strict)


def exit_status(run: Run, numbers: Sequence[int], *, strict: bool) -> int:
    """0 if anything was measured: what a busy machine makes of the targets is in the report.

    1 if nothing was; if ``strict``, 2 unless every target of these rows is met.
    """
    wanted = [finding for finding in run.findings if finding.number in numbers]
    verdicts = {check.verdict for finding in wanted for check in finding.checks}
    if verdicts <= {Verdict.MISSING}:
        return 1
    return 2 if strict and verdicts & {Verdict.UNMET, Verdict.MISSING} else 0


def _compare(arguments: argparse.Namespace) -> int:
    from benchmarks.compare import compared, warnings
    from benchmarks.progress import Terminal

    before, after = _load(arguments.before), _load(arguments.after)
    terminal = Terminal(0)
    for warning in warnings(before, after):
        terminal.console.print(f"not the same: {warning}", style="yellow", markup=False)
    terminal.comparison(compared(before, after))
    return 0


def _report(arguments: argparse.Namespace) -> int:
    _write_report(_load(arguments.result), arguments.result.with_name("report.html"))
    return 0


def _table(arguments: argparse.Namespace) -> int:
    from benchmarks.report.page import markdown_table

    sys.stdout.write(markdown_table(_load(arguments.result)))
    return 0


def _load(path: Path) -> Run:
    try:
        return load_run(path)
    except (OSError, ValueError) as exc:
        raise SystemExit(f"benchmarks: {path} is no result: {exc}") from exc


def _last(result: Path) -> Run | None:
    """The run before this one, if its result is still there and can be read."""
    try:
        return load_run(result)
    except (OSError, ValueError):
        return None


def _write_report(run: Run, path: Path, last: Run | None = None) -> None:
    from benchmarks.report.page import html_report

    path.write_text(html_report(run, last), encoding="utf-8")


def _numbers(text: str) -> list[int]:
    numbers = [int(item) for item in text.split(",")]
    named = ", ".join(map(str, ROWS))
    if unknown := [number for number in numbers if number not in ROWS]:
        raise argparse.ArgumentTypeError(f"no scenario {unknown[0]}; there are {named}")
    return numbers


def _checkout(text: str) -> Path:
    path = Path(text).resolve()
    if not (path / ".venv" / "bin" / "python").exists():
        raise argparse.ArgumentTypeError(f"{text} has no .venv: run 'make install' there first")
    return path


def _cache() -> Path:
    """Where installed peers stay between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "filestore-gateway-bench"
