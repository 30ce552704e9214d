"""Labels: the names and descriptions that users give to things, groups and the like.

Unlike a file's name, a label is never an address; it need not be unique, nor present.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from gateway.model.errors import Malformed

_CHARACTERS: Final = 1024
_CONTROLS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_label(value: object, field: str, *, required: bool = False, lines: bool = False) -> str:
    """The text itself, if it is fit for a name (or, with ``lines``, for a description).

    At most 1024 characters, no control. ``None`` is the empty label. Raises
    ``Malformed``, naming ``field``.
    """
    if value is not None and not isinstance(value, str):
        raise Malformed(f"{field} is not a string")
    text = value or ""
    if required and not text.strip():
        raise Malformed(f"{field} is missing")
    if len(text) > _CHARACTERS:
        raise Malformed(f"{field} is longer than {_CHARACTERS} characters")
    allowed = "\n\r\t" if lines else ""
    if any(unicodedata.category(c) in _CONTROLS and c not in allowed for c in text):
        raise Malformed(f"{field} contains a forbidden character")
    return text
