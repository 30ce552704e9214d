"""The map is of this house: its floors, every package, every file that a page names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents import pages
from tests.test_floors import FLOORS

PAGE = "docs/architecture.md"
GATEWAY = pages.ROOT / "gateway"
_NAMED = re.compile(r"`([^`\n]+)`")
# Such as ``web/server/listen.py`` or ``sql/queries/``; below the package, or below the top.
_PATH = re.compile(r"[a-z_]+(?:/[a-z0-9_]+)+(?:/|\.(?:py|sql|env\.example))")
_NOT_KEPT = {"tests/out/", "benchmarks/out/"}
_TOPS = ("gateway", "sql", "tests", "deploy", "benchmarks", "web", "blobs", "traffic", "identity")


def packages() -> list[str]:
    """Every package but the top one, by its dotted name below it."""
    found = (path.parent.relative_to(GATEWAY) for path in GATEWAY.rglob("__init__.py"))
    return sorted(".".join(path.parts) for path in found if path.parts)


def lost(text: str) -> list[str]:
    """The files and folders that the text names and that are not there."""
    paths = {name for name in _NAMED.findall(text) if _PATH.fullmatch(name)}
    named = {p for p in paths if p.endswith(".py") or p.partition("/")[0] in _TOPS}
    tops = (GATEWAY, pages.ROOT)
    return sorted(p for p in named - _NOT_KEPT if not any((top / p).exists() for top in tops))


@pytest.mark.parametrize("package", packages())
def test_every_package_is_on_the_map(package: str) -> None:
    assert package in _NAMED.findall(pages.read(PAGE))


def test_the_floors_are_those_that_the_imports_keep_to() -> None:
    rows = re.findall(r"^\| (`.*?) \|", pages.table(PAGE, "floors"), re.MULTILINE)
    floors = [{room.replace("/", ".") for room in rooms} for rooms in FLOORS]
    assert floors == [set(_NAMED.findall(row)) for row in reversed(rows)]


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: str(page.relative_to(pages.ROOT)))
def test_every_file_that_is_named_is_there(page: Path) -> None:
    if page.name != "CHANGELOG.md":  # which tells of what was
        assert [] == lost(page.read_text(encoding="utf-8"))


def test_a_planted_name_of_no_file_is_seen() -> None:
    text = "`web/none.py`, `web/edge.py`, `gateway/none/`, `settings.py` `a/b`"
    assert ["gateway/none/", "web/none.py"] == lost(text)
