"""Whom a request is counted for: its address until a credential is proved, then its principal.

Devices behind one address are told apart once they have proved who they are; what they are told
apart by are their owners, for else whoever makes a thousand things has a thousand shares.

Rule: who is not known and has no address either, behind a proxy that names none, has no share.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.model.access import Principal
from gateway.process.holder import HOLDER, Holder, work_for
from gateway.traffic.limits import ConcurrencyLimit


class Admission:
    """The place that one request holds among those under way."""

    __slots__ = ("_holder", "_limit", "_shared")

    def __init__(self, limit: ConcurrencyLimit, address: str | None) -> None:
        self._limit = limit
        self._holder = f"address {address}" if address else ""
        self._shared = address is not None
        HOLDER.set(Holder(self._holder))

    def take(self) -> None:
        """Count it. Raises ``TooMany``."""
        self._limit.take(self._holder, shared=self._shared)

    def give_back(self) -> None:
        """It is over."""
        self._limit.give_back(self._holder)

    def pass_to(self, principal: Principal) -> None:
        """It is this principal's. Raises ``TooMany``; it is still the former holder's then."""
        holder = f"user {principal.owner or principal.id}"
        if holder != self._holder:
            self._limit.pass_on(self._holder, holder)
            self._holder = holder
        work_for(holder)


ADMISSION: Final = web.RequestKey("admission", Admission)


def pass_to(request: web.Request, principal: Principal) -> None:
    """The request is the principal's from now on. Raises ``TooMany``."""
    admission = request.get(ADMISSION)
    if admission is not None:
        admission.pass_to(principal)
