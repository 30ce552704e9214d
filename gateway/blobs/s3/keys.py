"""Where a blob lies in a bucket: ``<prefix>/blobs/<kind>/<owner>/<id>``. Pure."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from gateway.blobs.port import place_of
from gateway.model.errors import GatewayError
from gateway.model.file import Scope

_BLOBS: Final = "blobs/"
_PROBES: Final = "probe/"


def key_of(within: str, scope: Scope, blob_id: UUID) -> str:
    """The key of a blob; ``within`` is what all keys begin with."""
    return f"{within}{_BLOBS}{place_of(scope, blob_id)}"


def blobs_of(within: str) -> str:
    """What the keys of all blobs begin with."""
    return f"{within}{_BLOBS}"


def probe_of(within: str, name: str) -> str:
    """The key of an object that is only tried with."""
    return f"{within}{_PROBES}{name}"


def blob_at(within: str, key: str) -> tuple[Scope, UUID] | None:
    """Which blob has this key, if it is one of ours."""
    parts = key.removeprefix(blobs_of(within)).split("/")
    if not key.startswith(blobs_of(within)) or len(parts) != 3:
        return None
    try:
        return Scope(parts[0], parts[1]), UUID(parts[2])
    except (ValueError, GatewayError):
        return None
