"""What a dependency audit really said: ``python -m tests.release.audit REPORT``, as ``make audit`` runs it.

An auditor that cannot ask passes over each package and ends well. So here it counts who was asked about.

Rule: 0 is every package asked about and none of them known to be vulnerable; 1 is a vulnerable one;
3 is that nobody knows, which is never silent; ``--may-be-unknown`` makes it 0 and as loud.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

CLEAN: Final = 0
VULNERABLE: Final = 1
UNKNOWN: Final = 3


def judged(report: str) -> tuple[int, Sequence[str]]:
    """Exit status and lines for a report of pip-audit in JSON, or for what came in its place."""
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return UNKNOWN, ["dependency audit: NOT DONE, the auditor gave no report"]
    known = [
        f"{package['name']} {package['version']}: {found['id']}, mended in {found['fix_versions']}"
        for package in packages
        for found in package.get("vulns", ())
    ]
    asked = sum("vulns" in package for package in packages)
    said = f"dependency audit: {asked} of {len(packages)} packages could be asked about"
    if known:
        return VULNERABLE, [said, *known]
    if not packages or asked < len(packages):
        return UNKNOWN, [f"{said}: NOT DONE, its data cannot be had here"]
    return CLEAN, [f"{said}; no vulnerability is known"]


if __name__ == "__main__":
    status, lines = judged(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(*lines, sep="\n")
    sys.exit(CLEAN if status == UNKNOWN and "--may-be-unknown" in sys.argv else status)
