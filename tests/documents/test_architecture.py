"""The map is of this house: its floors, every package."""

from __future__ import annotations

import re

import pytest

from tests.documents import pages
from tests.test_floors import FLOORS

PAGE = "docs/architecture.md"
GATEWAY = pages.ROOT / "gateway"
_NAMED = re.compile(r"`([^`\n]+)`")


def packages() -> list[str]:
    """Every package but the top one, by its dotted name below it."""
    found = (path.parent.relative_to(GATEWAY) for path in GATEWAY.rglob("__init__.py"))
    return sorted(".".join(path.parts) for path in found if path.parts)


@pytest.mark.parametrize("package", packages())
def test_every_package_is_on_the_map(package: str) -> None:
    assert package in _NAMED.findall(pages.read(PAGE))


def test_the_floors_are_those_that_the_imports_keep_to() -> None:
    rows = re.findall(r"^\| (`.*?) \|", pages.table(PAGE, "floors"), re.MULTILINE)
    floors = [{room.replace("/", ".") for room in rooms} for rooms in FLOORS]
    assert floors == [set(_NAMED.findall(row)) for row in reversed(rows)]
