"""The manifests, parsed, and the rules that they keep."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

DEPLOY: Final = Path(__file__).parents[2] / "deploy" / "kubernetes"
CHART: Final = DEPLOY / "chart"
RENDERED: Final = Path(__file__).with_name("rendered.yaml")
_LATE_SECONDS: Final = 10
Manifests = dict[str, Any]


def base() -> Manifests:
    """Those of the base by their kind, with the ConfigMap that kustomize would make."""
    folder = DEPLOY / "base"
    asked = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    found = {}
    for name in asked["resources"]:
        [one] = yaml.safe_load_all((folder / name).read_text("utf-8"))
        found[one["kind"]] = one
    literals = asked["configMapGenerator"][0]["literals"]
    pairs = (literal.partition("=") for literal in literals)
    found["ConfigMap"] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": asked["configMapGenerator"][0]["name"]},
        "data": {name: value for name, _, value in pairs},
    }
    return found


def rendered() -> Manifests:
    """Those of the chart, as they were rendered last with its own values."""
    return {one["kind"]: one for one in yaml.safe_load_all(RENDERED.read_text("utf-8"))}


def chart_digest() -> str:
    """Of all that the chart consists of."""
    files = sorted(path for path in CHART.rglob("*") if path.is_file())
    texts = (str(path.relative_to(CHART)).encode() + b"\n" + path.read_bytes() for path in files)
    return hashlib.sha256(b"".join(texts)).hexdigest()


def broken(found: Manifests) -> list[str]:
    """The rules that these manifests do not keep."""
    return [rule.__name__ for rule in RULES if not rule(found)]


def _pod(found: Manifests, kind: str = "Deployment") -> Any:
    return found[kind]["spec"]["template"]["spec"]


def _container(found: Manifests, kind: str = "Deployment") -> Any:
    [container] = _pod(found, kind)["containers"]
    return container


def _labels(found: Manifests) -> set[tuple[str, str]]:
    return set(found["Deployment"]["spec"]["template"]["metadata"]["labels"].items())


def _variables(found: Manifests, kind: str) -> Iterator[Any]:
    return iter(_container(found, kind)["env"])


def liveness_asks_the_process_alone(found: Manifests) -> bool:
    return bool(_container(found)["livenessProbe"]["httpGet"]["path"] == "/health")


def readiness_asks_the_database(found: Manifests) -> bool:
    return bool(_container(found)["readinessProbe"]["httpGet"]["path"] == "/ready")


def a_start_may_wait_for_the_database(found: Manifests) -> bool:
    probe = _container(found)["startupProbe"]
    return bool(probe["periodSeconds"] * probe["failureThreshold"] > 2 * 60)


def who_is_told_to_stop_has_the_time_for_it(found: Manifests) -> bool:
    sleep = _container(found)["lifecycle"]["preStop"]["sleep"]["seconds"]
    shutdown = int(found["ConfigMap"]["data"]["GATEWAY_SHUTDOWN_SECONDS"])
    grace = _pod(found)["terminationGracePeriodSeconds"]
    return bool(sleep >= 5 and grace >= sleep + shutdown + _LATE_SECONDS)


def one_may_be_away_at_a_time(found: Manifests) -> bool:
    rolling = found["Deployment"]["spec"]["strategy"]["rollingUpdate"]
    return bool(
        found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
        and rolling["maxUnavailable"] == 0
        and found["Deployment"]["spec"]["replicas"] > 1
    )


def they_are_spread_over_machines_and_zones(found: Manifests) -> bool:
    keys = {one["topologyKey"] for one in _pod(found)["topologySpreadConstraints"]}
    return keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}


def everything_that_selects_them_does(found: Manifests) -> bool:
    spread = _pod(found)["topologySpreadConstraints"]
    selectors = [
        found["Service"]["spec"]["selector"],
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in spread),
    ]
    return all(set(selector.items()) <= _labels(found) for selector in selectors)


def a_service_leads_to_none_but_gateways(found: Manifests) -> bool:
    job = found["Job"]["spec"]["template"]["metadata"]["labels"]
    return not set(found["Service"]["spec"]["selector"].items()) <= set(job.items())


def a_job_migrates_and_gateways_wait_for_it(found: Manifests) -> bool:
    return bool(
        _container(found, "Job")["args"] == ["migrate"]
        and found["Job"]["spec"]["backoffLimit"] <= 1
        and found["ConfigMap"]["data"]["GATEWAY_MIGRATE_AT_START"] == "false"
    )


def secrets_come_from_the_secret(found: Manifests) -> bool:
    from_there = {
        variable["name"]
        for kind in ("Deployment", "Job")
        for variable in _variables(found, kind)
        if "secretKeyRef" in variable.get("valueFrom", {})
    }
    return {"GATEWAY_SECRET", "GATEWAY_DATABASE_URL", "GATEWAY_S3_SECRET_KEY"} <= from_there and (
        not from_there & set(found["ConfigMap"]["data"])
    )


def nothing_of_it_is_root_or_writes_where_it_need_not(found: Manifests) -> bool:
    return all(
        _pod(found, kind)["securityContext"]["runAsNonRoot"]
        and _pod(found, kind)["automountServiceAccountToken"] is False
        and (context := _container(found, kind)["securityContext"])["readOnlyRootFilesystem"]
        and context["capabilities"] == {"drop": ["ALL"]}
        and context["allowPrivilegeEscalation"] is False
        for kind in ("Deployment", "Job")
    )


def no_service_sets_a_setting(found: Manifests) -> bool:
    return all(_pod(found, kind)["enableServiceLinks"] is False for kind in ("Deployment", "Job"))


def the_network_is_closed_but_for_what_is_needed(found: Manifests) -> bool:
    policy = found["NetworkPolicy"]["spec"]
    out = {one["port"] for rule in policy["egress"] for one in rule["ports"]}
    into = {one["port"] for rule in policy["ingress"] for one in rule["ports"]}
    return bool(
        set(policy["policyTypes"]) == {"Ingress", "Egress"}
        and all(rule["from"] for rule in policy["ingress"])
        and into == {8080}
        and {53, 5432, 443} <= out
    )


def several_share_a_store(found: Manifests) -> bool:
    return bool(found["ConfigMap"]["data"]["GATEWAY_STORE"] == "s3")


RULES: Final[tuple[Callable[[Manifests], bool], ...]] = (
    liveness_asks_the_process_alone,
    readiness_asks_the_database,
    a_start_may_wait_for_the_database,
    who_is_told_to_stop_has_the_time_for_it,
    one_may_be_away_at_a_time,
    they_are_spread_over_machines_and_zones,
    everything_that_selects_them_does,
    a_service_leads_to_none_but_gateways,
    a_job_migrates_and_gateways_wait_for_it,
    secrets_come_from_the_secret,
    nothing_of_it_is_root_or_writes_where_it_need_not,
    no_service_sets_a_setting,
    the_network_is_closed_but_for_what_is_needed,
    several_share_a_store,
)
