"""``make kubernetes``: Helm renders the chart into ``rendered.yaml``; every manifest has its kind's schema.

The base is held to the schemas as it is; ``kustomize`` adds labels and the ConfigMap.
"""

from __future__ import annotations

import sys
from typing import Any

import helm_python
import kubernetes_validate
import yaml

from tests.kubernetes.manifests import CHART, DEPLOY, RENDERED, base, chart_digest

VERSIONS = ("1.30", "1.34")
EVERYTHING = {
    "autoscaling": {"enabled": True},
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccount": {"annotations": {"example.com/role": "store"}},
    "image": {"tag": "1.2.3"},
}


def main() -> int:
    """Render, write, check; 1 if a manifest is not of its schema."""
    manifests = _render({})
    head = f"# Written by `make kubernetes` of the chart {chart_digest()}\n"
    text = yaml.safe_dump_all(manifests, sort_keys=True)
    RENDERED.write_text(head + text, encoding="utf-8")
    scaler = (DEPLOY / "autoscaling" / "horizontalpodautoscaler.yaml").read_text("utf-8")
    everything = [*manifests, *_render(EVERYTHING), *base().values(), yaml.safe_load(scaler)]
    complaints = [complaint for one in everything for complaint in _complaints(one)]
    complaints += [str(said) for said in helm_python.lint(CHART, strict=True)["errors"]]
    print(f"{len(everything)} manifests in {len(VERSIONS)} versions of Kubernetes")
    print(*complaints, sep="\n")
    return 1 if complaints else 0


def _render(values: dict[str, Any]) -> list[Any]:
    with helm_python.Chart.load(CHART) as chart:
        texts = chart.render(values, name="filestore-gateway")
    loaded = [one for text in texts.values() for one in yaml.safe_load_all(text)]
    return sorted(filter(None, loaded), key=lambda one: str(one["kind"]))


def _complaints(manifest: Any) -> list[str]:
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as exc:
            found.append(f"{manifest['kind']} in {version}: {exc}")
    return found


if __name__ == "__main__":
    sys.exit(main())
