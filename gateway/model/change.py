"""What happened to the catalogue or the registry, as far as a reader must know.

Knows nothing of how the news travel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from gateway.model.file import Scope


@dataclass(frozen=True, slots=True)
class FileChanged:
    """The file of that name was replaced, amended or removed."""

    scope: Scope
    name: str


@dataclass(frozen=True, slots=True)
class RightsChanged:
    """A user, a thing, a group or a membership changed: any right may have.

    Those are the ids ``whose`` rights it is about; ``None``: it may be anybody's.
    """

    whose: frozenset[str] | None = None

    def touches(self, ids: Iterable[str]) -> bool:
        """Whether the rights of one of these may have changed."""
        return self.whose is None or not self.whose.isdisjoint(ids)


@dataclass(frozen=True, slots=True)
class DeliveriesWaiting:
    """Something was put into the outbox."""


@dataclass(frozen=True, slots=True)
class BlobQuarantined:
    """The blob is not as it was stored: whoever is just sending it shall not go on."""

    blob_id: UUID


Change = FileChanged | RightsChanged | DeliveriesWaiting | BlobQuarantined


class ChangeListener(Protocol):
    """Whoever keeps what a change may make stale."""

    def on_change(self, change: Change) -> None:
        """Something changed."""

    def on_connected(self) -> None:
        """From now on every change is heard."""

    def on_disconnected(self) -> None:
        """Changes may go unheard until the next ``on_connected``."""


class ChangeListeners:
    """Several listeners as one."""

    def __init__(self, *listeners: ChangeListener) -> None:
        self._listeners = listeners

    def on_change(self, change: Change) -> None:
        """Something changed."""
        for listener in self._listeners:
            listener.on_change(change)

    def on_connected(self) -> None:
        """From now on every change is heard."""
        for listener in self._listeners:
            listener.on_connected()

    def on_disconnected(self) -> None:
        """Changes may go unheard until the next ``on_connected``."""
        for listener in self._listeners:
            listener.on_disconnected()
