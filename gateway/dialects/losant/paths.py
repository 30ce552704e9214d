"""Names and paths of private files.

A directory's path begins and ends with a slash, the root is ``/``; what is in it has its own name
behind that. Names are refused, never cleaned.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from gateway.model.errors import Malformed
from gateway.model.file import check_seen

ROOT: Final = "/"
CHARACTERS: Final = 1024
_LONGEST_LOOKED_UP: Final = 65_536
_FORBIDDEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: a directory's path, and a name in it."""

    parent: str
    name: str

    @property
    def inside(self) -> str:
        """The path of what is in it, if it is a directory."""
        return f"{self.parent}{self.name}/"


def check_name(name: object) -> str:
    """The name itself: 1 to 1,024 characters. Raises ``Malformed``.

    No slash, control, line break or lone surrogate; neither ``.`` nor ``..``.
    """
    if not isinstance(name, str):
        raise Malformed("name is not a string")
    if not 1 <= len(name) <= CHARACTERS:
        raise Malformed("name has 1 to 1024 characters")
    if "/" in name or name in (".", ".."):
        raise Malformed("name is part of a path")
    if any(unicodedata.category(character) in _FORBIDDEN for character in name):
        raise Malformed("name contains a forbidden character")
    return name


def check_new_name(name: object) -> str:
    """The name of what is not there yet. Raises ``Malformed``, for what cannot be seen, too."""
    return check_seen(check_name(name))


def check_directory(path: object, what: str = "parentDirectory") -> str:
    """The path of a directory to put something into: at most 1,024 characters.

    Slashes at its ends may be missing. Raises ``Malformed``.
    """
    if isinstance(path, str) and len(path) > CHARACTERS:
        raise Malformed(f"{what} has at most 1024 characters")
    return _directory(path, what)


def wanted_directory(path: str) -> str:
    """The path of a directory to look into; what was moved may have come to a longer one."""
    if len(path) > _LONGEST_LOOKED_UP:
        raise Malformed("directory is too long")
    return _directory(path, "directory")


def check_place(parent: str, name: str, *, directory: bool) -> Place:
    """The place. Raises ``Malformed`` if nothing could ever be put into a directory there."""
    place = Place(parent, name)
    if directory and len(place.inside) > CHARACTERS:
        raise Malformed("the directory's path has more than 1024 characters")
    return place


def _directory(path: object, what: str) -> str:
    if not isinstance(path, str):
        raise Malformed(f"{what} is not a string")
    bare = path.removeprefix("/").removesuffix("/")
    if not bare:
        if path not in ("", ROOT):
            raise Malformed(f"{what} has an empty part")
        return ROOT
    try:
        parts = [check_name(part) for part in bare.split("/")]
    except Malformed as exc:
        raise Malformed(f"{what} has a part that is no name of a directory") from exc
    return f"/{'/'.join(parts)}/"
