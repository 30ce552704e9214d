"""The port to the auth hook: the deployment's own word on what callers may.

Who somebody is has one answer, the registry's, and needs no port.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.model.access import Access
from gateway.model.file import Blob


@dataclass(frozen=True, slots=True)
class Sealed:
    """What the commit phase of the hook is told: the bytes as they will be stored."""

    blob: Blob
    content_type: str


class AuthHook(Protocol):
    """The deployment's own word on an access."""

    async def authorise(self, access: Access, *, lasting: float = 0.0) -> float:
        """Phase ``authorise``, before a body is read: for how many more seconds the yes holds.

        A remembered yes that holds for less than ``lasting`` is asked for again.
        Raises ``Denied`` or ``HookUnavailable``.
        """

    async def approve(self, access: Access, sealed: Sealed) -> None:
        """Phase ``commit``, before a row is written. Raises ``Denied`` or ``HookUnavailable``."""
