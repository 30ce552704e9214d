"""Every link in the documents leads somewhere, and every page is reached from the README."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.pages import PAGES, ROOT, anchors, dangling, links, read

README_BYTES = 7_000
"""About 6 KB: whoever needs more follows a link."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_leads_nowhere(page: Path) -> None:
    assert [] == dangling(page, page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("target", "text"),
    [
        pytest.param("docs/none.md", "[x](docs/none.md)", id="no such page"),
        pytest.param("#none", "# Here\n[x](#none)", id="no such heading"),
        pytest.param("CHANGELOG.md#none", "[x](CHANGELOG.md#none)", id="no such heading there"),
        pytest.param("../x", "[x](../x)", id="outside the tree"),
        pytest.param("setup.cfg#x", "[x](setup.cfg#x)", id="an anchor of what has none"),
        pytest.param("#y", "```\n# y\n```\n[x](#y)", id="a comment is no heading"),
    ],
)
def test_a_planted_link_is_seen(target: str, text: str) -> None:
    assert [target] == dangling(ROOT / "README.md", text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[x](docs/)", id="a folder"),
        pytest.param("# A `b`, c\n[x](#a-b-c)", id="a heading with code and punctuation"),
        pytest.param("[x](https://example.org/y)", id="elsewhere"),
        pytest.param("`[x](none.md)`", id="code"),
        pytest.param("[x](CHANGELOG.md#unreleased)", id="a heading of another page"),
    ],
)
def test_a_link_that_leads_somewhere_is_none(text: str) -> None:
    assert [] == dangling(ROOT / "README.md", text)


def test_every_page_is_reached_from_the_readme() -> None:
    reached, new = set[Path](), {ROOT / "README.md"}
    while new:
        page = new.pop()
        reached.add(page)
        targets = {target.partition("#")[0] for target in links(page.read_text(encoding="utf-8"))}
        found = {(page.parent / target).resolve() for target in targets if target.endswith(".md")}
        new |= found - reached
    assert set(PAGES) == reached


def test_the_readme_can_be_read_at_one_sitting() -> None:
    assert len(read("README.md").encode()) < README_BYTES


def test_two_headings_of_a_page_differ() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if page.name != "CHANGELOG.md":
            assert len(anchors(text)) == sum(
                line.startswith("#") for line in _outside_fences(text)
            ), page


def _outside_fences(text: str) -> list[str]:
    lines, fenced = list[str](), False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        lines.append("" if fenced else line)
    return lines
