"""Applications, their tokens, and private files, as values.

A private file is a ``FileRecord`` of the scope ``applications/<id>``. Its ``name`` is the file's id
of 24 digits, which changes when it moves; its UUID stays. All else is in its attributes:

| Attribute | What |
|---|---|
| type, parent, name | ``file`` or ``directory``; the path of where it is, its own name there |
| status | ``pending``, ``completed``, ``moving``, ``deleting`` |
| author, author_type | who made it |
| size, dimensions | of the bytes that are there, or that are awaited for the first time |
| generation | which upload is awaited, or was completed last; a PATCH begins the next |
| upload | what is declared of an awaited upload: size, content_type, dimensions; else null |
| expires | when an awaited upload is given up, in Unix seconds; else null |
| into | the id of the directory that this one is moving into; else null |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from gateway.catalogue.port import NO_BLOB
from gateway.dialects.losant.paths import Place
from gateway.model.access import Principal
from gateway.model.file import FileRecord, Scope

DIALECT: Final = "losant"
SCOPE_KIND: Final = "applications"
FILE: Final = "file"
DIRECTORY: Final = "directory"
PENDING: Final = "pending"
COMPLETED: Final = "completed"
MOVING: Final = "moving"
DELETING: Final = "deleting"


@dataclass(frozen=True)
class ScopedCaller(Principal):
    """Somebody whose token has ``scopes``. One of an ``application`` may touch no other."""

    scopes: frozenset[str] = frozenset()
    application: str = ""
    author: str = ""
    author_type: str = "user"


@dataclass(frozen=True, slots=True)
class Application:
    """What owns private files; itself of a user or of an org."""

    id: str
    user_id: UUID | None
    org_id: UUID | None
    name: str
    description: str
    created_at: datetime
    updated_at: datetime

    @property
    def scope(self) -> Scope:
        """Where its files live."""
        return scope_of(self.id)


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is known of an application's token; not the token itself."""

    id: str
    application: str
    name: str
    description: str
    scopes: tuple[str, ...]
    active: bool
    creator_id: str
    creator_type: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Declared:
    """What is said of an upload before it comes. ``size`` is in bytes."""

    size: int | None = None
    content_type: str | None = None
    dimensions: Mapping[str, Any] | None = None

    @property
    def attribute(self) -> dict[str, Any]:
        """The attribute ``upload``."""
        return {
            "size": self.size,
            "content_type": self.content_type,
            "dimensions": self.dimensions,
        }


@dataclass(frozen=True, slots=True)
class AwaitedUpload:
    """An upload that a file is waiting for; who completes it, completes it once.

    ``key`` names the file and which of its uploads it is, and nothing else ever has it.
    ``expected`` is the blob that the file must still have, ``matching`` what must be among its
    attributes at that moment, ``attributes`` what it has from then on.
    """

    record: FileRecord
    key: str
    declared: Declared
    content_type: str
    generation: int
    expires_at: float
    expected: UUID
    matching: Mapping[str, Any] = field(repr=False)

    def attributes(self, size: int) -> dict[str, Any]:
        """Those of the completed file of ``size`` bytes."""
        return {
            "status": COMPLETED,
            "size": size,
            "dimensions": self.declared.dimensions,
            "upload": None,
            "expires": None,
        }


def scope_of(application: str) -> Scope:
    """Where the application's files live."""
    return Scope(SCOPE_KIND, application)


def is_directory(record: FileRecord) -> bool:
    """Whether it is a directory."""
    return bool(record.attributes["type"] == DIRECTORY)


def place_of(record: FileRecord) -> Place:
    """Where it is."""
    return Place(record.attributes["parent"], record.attributes["name"])


def key_of(record: FileRecord) -> str:
    """The key of the file's present upload: ``<application>/<UUID>/<generation>``."""
    return f"{record.scope.owner}/{record.id.hex}/{record.attributes['generation']}"


def awaited_upload(record: FileRecord) -> AwaitedUpload | None:
    """The upload that the file is waiting for, or ``None``."""
    attributes = record.attributes
    if attributes["type"] != FILE or attributes["status"] != PENDING:
        return None
    declared = Declared(**attributes["upload"])
    generation = attributes["generation"]
    return AwaitedUpload(
        record=record,
        key=key_of(record),
        declared=declared,
        content_type=declared.content_type or record.content_type,
        generation=generation,
        expires_at=attributes["expires"],
        expected=record.blob.id if record.blob else NO_BLOB,
        matching={"status": PENDING, "generation": generation},
    )
