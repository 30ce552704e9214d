"""The documents as tests read them: pages, the blocks that marks name, headings, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]
)
_FENCE: Final = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE: Final = re.compile(r"`[^`\n]*`")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_NOT_IN_ANCHORS: Final = re.compile(r"[^\w\- ]")


def read(page: str) -> str:
    """The page of this path below the root."""
    return (ROOT / page).read_text(encoding="utf-8")


def shell(page: str, mark: str) -> str:
    """The shell block that follows ``<!-- mark -->``."""
    block = re.search(rf"<!-- {mark} -->\n```sh\n(.*?)```", read(page), re.DOTALL)
    assert block is not None, f"{page} has no shell block {mark}"
    return block[1]


def _between(mark: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=<!-- {mark} -->\n).*?(?=<!-- /{mark} -->)", re.DOTALL)


def table(page: str, mark: str) -> str:
    """What stands between ``<!-- mark -->`` and ``<!-- /mark -->``."""
    found = _between(mark).search(read(page))
    assert found is not None, f"{page} has no {mark}"
    return found.group()


def rewrite(page: str, mark: str, text: str) -> None:
    """Put ``text`` between the marks."""
    written = _between(mark).sub(lambda _: text, read(page))
    (ROOT / page).write_text(written, encoding="utf-8")


def prose(text: str) -> str:
    """A page without what is code."""
    return _CODE.sub("", _FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings make, as GitHub names them."""
    headings = _HEADING.findall(_FENCE.sub("", text))
    return {_NOT_IN_ANCHORS.sub("", h.strip().lower()).replace(" ", "-") for h in headings}


def links(text: str) -> Iterator[str]:
    """Every link that stays in the tree."""
    for target in _LINK.findall(prose(text)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def dangling(page: Path, text: str) -> list[str]:
    """The links of ``text``, as the page ``page``, that lead nowhere."""
    return [target for target in links(text) if not _resolves(page, text, target)]


def _resolves(page: Path, text: str, target: str) -> bool:
    path, _, anchor = target.partition("#")
    other = (page.parent / path).resolve() if path else page
    if not other.is_relative_to(ROOT) or not other.exists():
        return False
    if not anchor:
        return True
    found = text if other == page else other.read_text(encoding="utf-8")
    return other.suffix == ".md" and anchor in anchors(found)
