"""Statistics, targets, results and the report: what a load-tester reads must be what was measured."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bench import CannotRun
from benchmarks.children import ChildFailed
from benchmarks.cli import exit_status, main
from benchmarks.compare import compared, warnings
from benchmarks.machine import ROOT
from benchmarks.report.page import html_report, markdown_table
from benchmarks.report.words import number, summary
from benchmarks.results import (
    Aim,
    Check,
    Finding,
    Latency,
    Run,
    Series,
    Target,
    Timeline,
    Verdict,
    run_from_json,
    run_to_json,
)
from benchmarks.rounds import check_there, interleaved, warm_up
from benchmarks.scenarios import SCENARIOS
from benchmarks.stats import Spread, ratios, slope, spread_of
from benchmarks.targets import ROWS
from benchmarks.wrk import parsed


def test_a_spread_is_median_least_and_greatest() -> None:
    assert Spread(2.0, 1.0, 9.0, 3) == spread_of([9.0, 1.0, 2.0])
    assert Spread(1.5, 1.0, 2.0, 2) == spread_of([2.0, 1.0])


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, 1.0]])
def test_what_is_no_measurement_has_no_spread(values: list[float]) -> None:
    with pytest.raises(ValueError, match="measure"):
        spread_of(values)


def test_ratios_are_taken_round_by_round() -> None:
    assert (2.0, 0.5) == ratios([10.0, 1.0], [5.0, 2.0])
    for wrong in (([1.0], [1.0, 2.0]), ([], []), ([1.0], [0.0])):
        with pytest.raises(ValueError, match="ratio"):
            ratios(*wrong)


def test_the_slope_is_that_of_the_line_and_not_of_its_start() -> None:
    assert 17.0 == pytest.approx(slope([(0, 1000.0), (100, 2700.0), (200, 4400.0)]))


def test_subjects_take_turns_and_nobody_is_always_first() -> None:
    order: list[str] = []
    found = interleaved(
        Finding(1, ""), {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3
    )
    assert ["a", "b", "b", "a", "a", "b"] == order
    assert {"a": 3, "b": 3} == {name: len(rounds) for name, rounds in found.items()}


def test_who_cannot_warm_up_is_missing_and_not_silently_left_out() -> None:
    def cannot() -> int:
        raise CannotRun("it has no such route")

    finding, subjects = Finding(1, ""), {"a": lambda: 1, "b": cannot}
    warm_up(finding, subjects)
    assert {"b": "it has no such route"} == finding.missing
    assert ["a"] == list(subjects)


def test_who_fails_in_a_round_is_out_and_the_others_go_on() -> None:
    def failing(error: Exception) -> Callable[[], int]:
        answers = iter((1, error))

        def work() -> int:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return work

    finding, told = Finding(1, ""), list[tuple[str, int]]()
    subjects = {
        "refuses": failing(CannotRun("it refused")),
        "dies": failing(ChildFailed("it died")),
        "goes on": lambda: 1,
    }
    found = interleaved(finding, subjects, 3, told=lambda n, r, _: told.append((n, r)))
    assert {"goes on": [1, 1, 1]} == found
    assert {"refuses": "failed in round 2: it refused", "dies": "failed in round 2: it died"} == (
        finding.missing
    )
    assert [("goes on", 1), ("goes on", 2)] == told[-2:]
    check_there(finding, found, "goes on")
    with pytest.raises(CannotRun, match="dies: failed in round 2: it died"):
        check_there(finding, found, "goes on", "dies", "refuses")


@pytest.mark.parametrize(
    ("expected", "aim", "values"),
    [
        pytest.param(Verdict.STRETCH, Aim.AT_LEAST, (9.0, 6.0, 1.0), id="the median counts"),
        pytest.param(Verdict.MET, Aim.AT_LEAST, (4.0,), id="exactly the target"),
        pytest.param(Verdict.UNMET, Aim.AT_LEAST, (3.9,), id="below"),
        pytest.param(Verdict.UNMET, Aim.AT_MOST, (6.1,), id="above the stretch and the target"),
        pytest.param(Verdict.STRETCH, Aim.AT_MOST, (4.0,), id="less is better"),
        pytest.param(Verdict.MISSING, Aim.AT_LEAST, (), id="nothing measured"),
        pytest.param(Verdict.REPORTED, Aim.REPORTED, (1.0,), id="no target"),
    ],
)
def test_a_check_is_met_or_not(expected: Verdict, aim: Aim, values: tuple[float, ...]) -> None:
    target, stretch = (4.0, 6.0) if aim is Aim.AT_LEAST else (6.0, 4.0)
    assert expected == Check("x", Target(aim, target, stretch), values).verdict


def test_the_table_has_a_scenario_for_each_of_its_rows() -> None:
    assert [*range(1, 23)] == list(ROWS) == list(SCENARIOS)


def test_a_measured_check_takes_the_place_of_the_unmeasured_one() -> None:
    finding = Finding(9, "", checks=ROWS[9].unmeasured())
    finding.settle(ROWS[9].check("16 uploads at once", (12.0,)))
    finding.settle(Check("beside", Target(Aim.REPORTED), (1.0,)))
    assert [
        ("one large upload", Verdict.MISSING),
        ("16 uploads at once", Verdict.STRETCH),
        ("beside", Verdict.REPORTED),
    ] == [(check.label, check.verdict) for check in finding.checks]


def a_run(scale: float = 1.0) -> Run:
    """Every row of the table, measured, missing or failed."""
    findings = [Finding(n, row.title, checks=row.unmeasured()) for n, row in ROWS.items()]
    measured = findings[1]
    values = (4.1 * scale, 4.4 * scale, 4.0 * scale)
    measured.settle(ROWS[2].check("gateway / FileResponse", values, "FileResponse"))
    measured.series += [
        Series("gateway", "4 KiB ranges", "/s", (20_000.0, 21_000.0)),
        Series("<FileResponse>", "4 KiB ranges", "/s", (5_000.0, 4_900.0)),
    ]
    measured.latencies.append(Latency("gateway", ((50, 1.0), (99, 4.0), (100, 9.0))))
    measured.timelines.append(Timeline("gateway", "PSS", "MiB", ((0.0, 40.0), (1.0, 41.5))))
    measured.missing["Caddy"] = "not installed: apt install caddy"
    measured.command("curl --header 'Authorization: Thing abcdefghijklmnopqrstuvwxyz' http://x/")
    findings[0].failure = "there is no <edge> configuration"
    machine = {"processor": "P", "cores": "2"}
    return Run("2026-01-01T00:00:00", 90.0, "quick", machine, {"python": "3"}, tuple(findings))


def test_a_result_does_not_say_where_its_machine_keeps_things() -> None:
    run = a_run()
    run.findings[1].commands[:] = [f"dd if={ROOT}/benchmarks/out/a of={Path.home()}/b"]
    run.findings[0].failure = f"{Path.home()}/.cache/caddy: not found"
    read = run_from_json(run_to_json(run))
    assert ["dd if=CHECKOUT/benchmarks/out/a of=HOME/b"] == read.findings[1].commands
    assert "HOME/.cache/caddy: not found" == read.findings[0].failure


def test_a_result_survives_json_without_the_key_that_it_was_measured_with() -> None:
    read = run_from_json(run_to_json(a_run()))
    assert ["curl --header 'Authorization: Thing KEY' http://x/"] == read.findings[1].commands
    read.findings[1].commands[:] = a_run().findings[1].commands
    assert a_run() == read


def test_the_report_has_every_row_and_needs_nothing_from_elsewhere() -> None:
    page = html_report(a_run())
    for row_number, row in ROWS.items():
        assert f"<h2 id=s{row_number}>" in page
        for label in row.targets:
            assert f">{label}</td>" in page
    assert [] == re.findall(r"(?:src|href)='(?!#|data:)", page)
    assert "<script" not in page
    assert 3 == page.count("<img alt=")


def test_the_report_says_what_is_missing_or_failed_and_escapes_it() -> None:
    page = html_report(a_run())
    assert "there is no &lt;edge&gt; configuration" in page
    assert "&lt;FileResponse&gt;" in page
    assert "Caddy: missing" in page
    assert "not installed: apt install caddy" in page
    assert "<FileResponse>" not in page


def test_the_report_begins_with_what_the_run_came_to() -> None:
    said = summary(a_run())
    assert "1 of 1 targets are met, 0 of them with the stretch." == said[0]
    assert any(sentence.startswith("Not measured: rows 1, 3,") for sentence in said)
    assert "A run of quick scale" in said[-1]
    assert "Missed: 2 (gateway / FileResponse)" in " ".join(summary(a_run(0.5)))
    page = html_report(a_run())
    assert page.index("1 of 1 targets") < page.index("<table>")


def test_the_report_has_the_last_run_beside_this_one_and_the_spread_as_a_bar() -> None:
    page = html_report(a_run(1.1), a_run())
    assert ">4.10 (+10%)</td>" in page
    assert "The last run: 2026-01-01T00:00:00" in page
    assert 1 == page.count("<span class=bar>")
    other = replace(a_run(), machine={"processor": "Q", "cores": "2"})
    assert "processor: Q / P" in html_report(a_run(), other)


def test_the_headline_table_has_result_spread_and_verdict() -> None:
    table = markdown_table(a_run())
    assert "| ≥ 4.00 × | ≥ 6.00 × | 4.10 × (4.00 to 4.40) | met |" in table
    assert sum(len(row.targets) for row in ROWS.values()) + 2 == len(table.splitlines())


def test_two_results_are_set_side_by_side_where_both_measured() -> None:
    rows = {name: (b, a) for name, b, a in compared(a_run(), a_run(2.0))}
    assert (4.1, 8.2) == pytest.approx(rows["2. gateway / FileResponse"])
    assert (20_500.0, 20_500.0) == rows["2. gateway: 4 KiB ranges /s"]
    other = replace(a_run(), machine={"processor": "Q", "cores": "2"}, scale="full")
    assert ["processor: P / Q", "scale: quick / full"] == warnings(a_run(), other)


@pytest.mark.parametrize(
    ("expected", "numbers", "strict"),
    [
        pytest.param(0, [2], False, id="met"),
        pytest.param(0, [2], True, id="met, and asked"),
        pytest.param(0, [2, 3], False, id="something was measured"),
        pytest.param(2, [2, 3], True, id="a target is not met, and asked"),
        pytest.param(1, [3], False, id="nothing was measured"),
        pytest.param(1, [3], True, id="nothing was measured, and asked"),
    ],
)
def test_the_exit_status_tells_of_targets_only_if_asked(
    expected: int, numbers: list[int], strict: bool
) -> None:
    assert expected == exit_status(a_run(), numbers, strict=strict)


def test_the_command_line_writes_the_report_and_the_table_of_a_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "result.json"
    result.write_bytes(run_to_json(a_run()))
    assert 0 == main(["report", str(result)])
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert 0 == main(["table", str(result)])
    assert capsys.readouterr().out.startswith("| # | Scenario |")
    assert 0 == main(["compare", str(result), str(result)])


def test_a_scenario_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit):
        main(["--only", "99"])


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        pytest.param("12,346", 12345.6, id="thousands"),
        pytest.param("123", 123.4, id="hundreds"),
        pytest.param("12.3", 12.34, id="tens"),
        pytest.param("0.00", 0.0, id="nothing"),
        pytest.param("0.001", 0.001, id="small"),
    ],
)
def test_figures_have_the_digits_that_mean_something(expected: str, value: float) -> None:
    assert expected == number(value)


def wrk_says(**changes: int) -> str:
    said = {"requests": 10, "errors": 0, "refused": 0} | changes
    counts = ",".join(f'"{name}":{value}' for name, value in said.items())
    return f'noise\nWRK {{{counts},"seconds":2.0,"bytes":100,"latency":[[50,1.5],[100,3.0]]}}\n'


def test_wrk_is_believed_only_if_every_request_was_answered() -> None:
    loaded = parsed(wrk_says(), "wrk")
    assert (5.0, 50.0, 1.5) == (loaded.rate, loaded.bytes_per_second, loaded.at(50))
    for wrong in (wrk_says(refused=1), wrk_says(errors=1), wrk_says(requests=0), "nothing"):
        with pytest.raises(CannotRun):
            parsed(wrong, "wrk")
