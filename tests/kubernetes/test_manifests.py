"""The base and the chart keep the same rules, and each rule notices when it is broken."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import pytest

from gateway.settings.core import Settings
from gateway.settings.sources import variable_of
from tests.kubernetes.manifests import (
    RENDERED,
    RULES,
    Manifests,
    base,
    broken,
    chart_digest,
    rendered,
)

BOTH = {"base": base, "chart": rendered}
_POD = ("Deployment", "spec", "template", "spec")
_CONTAINER = (*_POD, "containers", 0)
BREAKS: dict[str, tuple[tuple[str | int, ...], object]] = {
    "liveness_asks_the_process_alone": (
        (*_CONTAINER, "livenessProbe", "httpGet", "path"),
        "/ready",
    ),
    "readiness_asks_the_database": ((*_CONTAINER, "readinessProbe", "httpGet", "path"), "/health"),
    "a_start_may_wait_for_the_database": ((*_CONTAINER, "startupProbe", "failureThreshold"), 6),
    "who_is_told_to_stop_has_the_time_for_it": ((*_POD, "terminationGracePeriodSeconds"), 30),
    "one_may_be_away_at_a_time": (("PodDisruptionBudget", "spec", "maxUnavailable"), 2),
    "they_are_spread_over_machines_and_zones": ((*_POD, "topologySpreadConstraints"), []),
    "everything_that_selects_them_does": (("Service", "spec", "selector"), {"app": "other"}),
    "a_service_leads_to_none_but_gateways": (("Service", "spec", "selector"), {}),
    "a_job_migrates_and_gateways_wait_for_it": (
        ("ConfigMap", "data", "GATEWAY_MIGRATE_AT_START"),
        "true",
    ),
    "secrets_come_from_the_secret": (("ConfigMap", "data", "GATEWAY_SECRET"), "s" * 32),
    "nothing_of_it_is_root_or_writes_where_it_need_not": (
        (*_POD, "securityContext", "runAsNonRoot"),
        False,
    ),
    "no_service_sets_a_setting": ((*_POD, "enableServiceLinks"), True),
    "the_network_is_closed_but_for_what_is_needed": (
        ("NetworkPolicy", "spec", "policyTypes"),
        ["Ingress"],
    ),
    "several_share_a_store": (("ConfigMap", "data", "GATEWAY_STORE"), "disk"),
}


@pytest.mark.parametrize("manifests", BOTH.values(), ids=BOTH)
def test_the_rules_are_kept(manifests: Callable[[], Manifests]) -> None:
    assert [] == broken(manifests())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("manifests", BOTH.values(), ids=BOTH)
def test_a_rule_that_is_broken_is_named(
    manifests: Callable[[], Manifests], rule: Callable[[Manifests], bool]
) -> None:
    found: Any = copy.deepcopy(manifests())
    (*path, last), value = BREAKS[rule.__name__]
    place = reduce(operator.getitem, path, found)
    place[last] = value
    assert rule.__name__ in broken(found)


@pytest.mark.parametrize("manifests", BOTH.values(), ids=BOTH)
def test_every_setting_that_they_name_is_one(manifests: Callable[[], Manifests]) -> None:
    known = {variable_of(Settings, name) for name in Settings.model_fields}
    found = manifests()
    named = set(found["ConfigMap"]["data"])
    for kind in ("Deployment", "Job"):
        [container] = found[kind]["spec"]["template"]["spec"]["containers"]
        named |= {variable["name"] for variable in container["env"]}
    assert set() == named - known


def test_the_chart_was_rendered_as_it_is_now() -> None:
    """``make kubernetes`` renders it anew, by Helm itself."""
    assert chart_digest() in RENDERED.read_text("utf-8").splitlines()[0]
