"""What ``deploy/monitoring`` has is what promtool and Grafana take, and each alert can fire."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.tools.prometheus import promtool

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
CASES = Path(__file__).parent / "alerts_test.yml"
SEVERITIES = {"page", "ticket", "note"}
# The service's own, and those of Prometheus' library and of Prometheus itself.
METRIC = re.compile(r"\b(?:gateway_[a-z_]+|process_[a-z_]+|up)\b(?=[{\[) ]|$)", re.MULTILINE)


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))
    return read


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, str]]:
    """Title and expression of each query of the dashboard."""
    return [(p["title"], target["expr"]) for p in panels() for target in p["targets"]]


def alerts() -> list[dict[str, Any]]:
    [group] = yaml.safe_load((MONITORING / "alerts.yml").read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def test_promtool_takes_rules_and_configuration() -> None:
    assert f"{len(alerts())} rules found" in promtool("check", "rules", MONITORING / "alerts.yml")
    promtool("check", "config", MONITORING / "prometheus.yml")


def test_every_case_of_an_alert_comes_out_as_it_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", CASES)


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tests = yaml.safe_load(CASES.read_text("utf-8"))["tests"]
    asked = [case for test in tests for case in test["alert_rule_test"]]
    for expected in (True, False):
        told = {case["alertname"] for case in asked if expected == bool(case["exp_alerts"])}
        assert {alert["alert"] for alert in alerts()} == told


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in SEVERITIES
    assert {"summary", "do"} == set(alert["annotations"])
    for page in re.findall(r"docs/\w+\.md", alert["annotations"]["do"]):
        assert (ROOT / page).exists()


def test_the_dashboard_s_panels_are_told_apart_and_do_not_overlap() -> None:
    every = dashboard()["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in every)
        for x, y in itertools.product(
            range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])
        )
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_panel_says_what_it_shows_and_where_it_asks() -> None:
    for panel in panels():
        assert panel["description"].endswith(".")
        asked = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {"${datasource}"} == {source["uid"] for source in asked}


def test_every_query_can_be_narrowed_to_a_job_and_a_gateway() -> None:
    for title, query in queries():
        for found in re.finditer(
            r"\b(?:gateway_[a-z_]+|up)\b", query.replace("ignoring (state)", "")
        ):
            rest = query[found.end() :]
            assert rest.startswith('{job=~"$job", instance=~"$instance"'), (title, found.group())


def named() -> set[str]:
    """Every metric that an alert or a query asks for."""
    texts = [alert["expr"] for alert in alerts()] + [query for _, query in queries()]
    return {name for text in texts for name in METRIC.findall(text)}


def test_what_is_asked_for_is_found_in_the_text() -> None:
    """The next module compares these with a gateway."""
    assert {"up", "gateway_nginx_sent_bytes_total", "process_open_fds"} <= named()
