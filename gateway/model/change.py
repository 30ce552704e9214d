"""What happened to the catalogue or the registry, as far as a reader must know.

Knows nothing of how the news travel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.model.file import Scope


@dataclass(frozen=True, slots=True)
class FileChanged:
    """The file of that name was replaced, amended or removed."""

    scope: Scope
    name: str


@dataclass(frozen=True, slots=True)
class RightsChanged:
    """A user, a thing, a group or a membership changed: any right may have."""


@dataclass(frozen=True, slots=True)
class DeliveriesWaiting:
    """Something was put into the outbox."""


Change = FileChanged | RightsChanged | DeliveriesWaiting


class Audience(Protocol):
    """Whoever keeps what a change may make stale."""

    def hear(self, change: Change) -> None:
        """Something changed."""

    def begin(self) -> None:
        """From now on every change is heard."""

    def lose(self) -> None:
        """Changes may go unheard until the next ``begin``."""


class Audiences:
    """Several audiences as one."""

    def __init__(self, *audiences: Audience) -> None:
        self._audiences = audiences

    def hear(self, change: Change) -> None:
        """Something changed."""
        for audience in self._audiences:
            audience.hear(change)

    def begin(self) -> None:
        """From now on every change is heard."""
        for audience in self._audiences:
            audience.begin()

    def lose(self) -> None:
        """Changes may go unheard until the next ``begin``."""
        for audience in self._audiences:
            audience.lose()
