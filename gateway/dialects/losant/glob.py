"""Globbing, as a pattern that PostgreSQL matches: ``*`` is any characters, ``?`` is any one.

Everything else stands for itself, and the whole name must match. It takes no more work than
``like`` takes, and that is bounded: stars in a row are one, and what no name is long enough for is
not asked.
"""

from __future__ import annotations

import re
from typing import Final

_ESCAPED: Final = str.maketrans({"\\": "\\\\", "%": "\\%", "_": "\\_", "*": "%", "?": "_"})
_WILD: Final = re.compile(r"[*?]+")


def like_of(glob: str, *, longest: int) -> str:
    """The pattern; names have at most ``longest`` characters."""
    if sum(character != "*" for character in glob) > longest:
        return "_" * (longest + 1)
    return _WILD.sub(_shortest, glob).translate(_ESCAPED)


def _shortest(wild: re.Match[str]) -> str:
    """So many single characters, and then any, if there is a star."""
    return "?" * wild[0].count("?") + "*" * ("*" in wild[0])
