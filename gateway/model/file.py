"""What the gateway knows about a file: its scope, its name, its bytes.

Knows nothing of rows, paths or requests.

Rule: a ``Scope`` and a name, once constructed, are fit for every dialect's storage;
nobody below checks them again. Names are refused, never cleaned, so that two
different names cannot merge into one.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from gateway.model.digest import Digest
from gateway.model.errors import Malformed, NotFound

_SCOPE_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_NAME_BYTES: Final = 255
_BIDI_CONTROLS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_WINDOWS_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(?:\.|$)", re.IGNORECASE
)
_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a name is unique, and the folder that new blobs are put in.

    ``kind`` is one of the product's plural nouns (``things``, ``groups``, ``users``,
    ``applications`` ...), ``owner`` the id of one of them.
    """

    kind: str
    owner: str

    def __post_init__(self) -> None:
        for part in (self.kind, self.owner):
            if not _SCOPE_PART.fullmatch(part):
                raise Malformed("malformed entity id")

    def __str__(self) -> str:
        return f"{self.kind}/{self.owner}"


@dataclass(frozen=True, slots=True)
class Blob:
    """Immutable bytes: random ``id``, the ``scope`` whose folder holds them, what they are.

    One that is ``quarantined`` was found to have other bytes, or none: nobody is sent them.
    """

    id: UUID
    scope: Scope
    size: int
    digest: Digest
    md5: str | None = None
    quarantined: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """What a file is to be called and to carry, before it has its bytes.

    ``scope`` is where its name will live; where its bytes lie the blob says. ``id`` is that of
    the file that is filled, or that the new one is to have; ``None`` means a new one.
    """

    scope: Scope
    name: str
    content_type: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    id: UUID | None = None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One committed file.

    ``scope`` is where its name lives, ``blob.scope`` where its bytes lie: a file may change
    hands. ``blob`` of ``None`` is a file without bytes: an upload that is awaited, a directory.
    ``created_at`` is when the name came to be, ``modified_at`` when its bytes last
    changed (strictly later, in whole seconds, than for any earlier bytes of that name:
    it is a strong validator), ``updated_at`` when anything of the row changed.
    """

    id: UUID
    scope: Scope
    name: str
    blob: Blob | None
    content_type: str
    attributes: Mapping[str, Any]
    creator: str
    created_at: datetime
    modified_at: datetime
    updated_at: datetime

    @property
    def content(self) -> Blob:
        """Its bytes. Raises ``NotFound`` if it has none."""
        if self.blob is None:
            raise NotFound()
        return self.blob


@dataclass(frozen=True, slots=True)
class FileName:
    """What a file is found by: a name, in the scope where it lives."""

    scope: Scope
    name: str


def check_name(name: str) -> str:
    """The name itself, if it is one a file may have.

    1 to 255 bytes of NFC UTF-8; no separator, control, line break, lone surrogate or
    bidirectional control; no trailing dot or space (so neither ``.`` nor ``..``); no
    name that Windows takes for a device.

    Raises ``Malformed``.
    """
    if not name:
        raise Malformed("the file name is empty")
    # The length first: no name costs more than its limit, however long the claim.
    if _is_long(name):
        raise Malformed("the file name is longer than 255 bytes")
    if _has_controls(name) or any(c in _BIDI_CONTROLS for c in name):
        raise Malformed("the file name contains a forbidden character")
    if "/" in name or "\\" in name:
        raise Malformed("the file name contains a path separator")
    if name[-1] in ". " or _WINDOWS_DEVICE.match(name):
        raise Malformed("the file name is reserved")
    if not unicodedata.is_normalized("NFC", name):
        raise Malformed("the file name is not in Unicode normal form C")
    return name


def check_id(file_id: str) -> str:
    """The id itself, if a file may be addressed by it: a looser policy than that of names.

    For APIs whose clients make up ids that nobody takes for the name of a file on a disk.
    1 to 255 bytes of UTF-8, each different from all others, normal forms included; no
    slash, control, line break or lone surrogate; not ``.`` or ``..``, which clients
    and proxies resolve away (RFC 3986, section 5.2.4).

    Raises ``Malformed``.
    """
    if not file_id:
        raise Malformed("the file id is empty")
    if _is_long(file_id):
        raise Malformed("the file id is longer than 255 bytes")
    if _has_controls(file_id):
        raise Malformed("the file id contains a forbidden character")
    if "/" in file_id or file_id in (".", ".."):
        raise Malformed("the file id is reserved")
    return file_id


def check_seen(name: str) -> str:
    """A new name itself, if all of it can be seen: two files must not look alike.

    Of files that are there any name stays good. Raises ``Malformed`` for format characters (Cf):
    zero width spaces and joiners, soft hyphens, byte order marks.
    """
    if any(unicodedata.category(c) == "Cf" for c in name):
        raise Malformed("the file name contains a character that cannot be seen")
    return name


def _is_long(text: str) -> bool:
    return len(text.encode("utf-8", "surrogatepass")) > _NAME_BYTES


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(c) in _FORBIDDEN_CATEGORIES for c in text)


@dataclass(frozen=True, slots=True)
class FrontPlace:
    """Where a front server finds a blob, and by which right.

    ``path`` is relative to the root of the permanent blobs, or to that of the store's addresses,
    and the same for a blob as long as it is there. ``query`` is the right, for a while: a secret,
    and empty where the front server reads files. ``fresh_until`` is when the place is not to be
    given to anybody any more, by ``time.monotonic``; what was begun before has as long again.
    """

    path: str
    query: str = ""
    fresh_until: float = math.inf


@dataclass(frozen=True, slots=True)
class ShownBytes:
    """How a store that sends a blob to a client by itself is to show it: three header values."""

    content_type: str
    disposition: str
    cache_control: str
