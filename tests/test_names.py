"""A class name means one thing in the whole package."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

GATEWAY = Path(__file__).parent.parent / "gateway"


def twice(sources: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    """The names of classes that more than one place defines, and those places."""
    places = defaultdict[str, list[str]](list)
    for path, source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path}:{node.lineno}")
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_two_classes_share_a_name() -> None:
    paths = sorted(GATEWAY.rglob("*.py"))
    assert {} == twice((str(p.relative_to(GATEWAY)), p.read_text(encoding="utf-8")) for p in paths)


def test_a_planted_second_class_is_seen() -> None:
    sources = [("a.py", "class Page: ..."), ("b.py", "def f():\n class Page: ...")]
    assert {"Page": ["a.py:1", "b.py:2"]} == twice(sources)
