"""What a release is installed from is locked, and an audit that asked nobody is not taken for a good one."""

from __future__ import annotations

import configparser
import json
import re
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.documents import pages
from tests.release.audit import CLEAN, UNKNOWN, VULNERABLE, judged

LOCK = "requirements.lock"
PIN = re.compile(
    r"^([a-z0-9-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


def locked() -> dict[str, str]:
    """Name and version of what is locked, each with a hash of every file of it."""
    return {name: version for name, version, _ in PIN.findall(pages.read(LOCK))}


def wanted() -> list[Requirement]:
    setup = configparser.ConfigParser()
    setup.read(pages.ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def test_the_lock_is_pins_with_hashes_and_nothing_else() -> None:
    assert PIN.sub("", pages.read(LOCK)).strip() == ""
    assert locked() != {}


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_what_is_locked_is_what_is_required(requirement: Requirement) -> None:
    """``make lock`` writes it anew."""
    assert requirement.specifier.contains(locked()[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("name", sorted(locked()))
def test_what_a_locked_package_needs_is_locked_too(name: str) -> None:
    """As far as what is installed here is what is locked."""
    needs = [Requirement(line) for line in metadata.requires(name) or ()]
    here = [r for r in needs if r.marker is None or r.marker.evaluate({"extra": ""})]
    assert [r.name for r in here if canonicalize_name(r.name) not in locked()] == []


def package(**more: object) -> dict[str, object]:
    return {"name": "a", "version": "1", **more}


@pytest.mark.parametrize(
    ("expected", "packages"),
    [
        pytest.param(CLEAN, [package(vulns=[])], id="asked and clean"),
        pytest.param(UNKNOWN, [package(vulns=[]), package(skip_reason="not found")], id="one not"),
        pytest.param(UNKNOWN, [package(skip_reason="not found")], id="nobody was asked"),
        pytest.param(UNKNOWN, [], id="no package"),
        pytest.param(
            VULNERABLE,
            [package(skip_reason="x"), package(vulns=[{"id": "X-1", "fix_versions": ["2"]}])],
            id="vulnerable",
        ),
    ],
)
def test_an_audit_is_worth_what_it_asked(expected: int, packages: list[object]) -> None:
    status, lines = judged(json.dumps({"dependencies": packages}))
    assert status == expected
    assert ("NOT DONE" in lines[0]) == (expected == UNKNOWN)


@pytest.mark.parametrize("report", ["", "Connection refused", "[]", "null"])
def test_no_report_is_no_audit(report: str) -> None:
    assert judged(report)[0] == UNKNOWN
