"""Callers: credentials out of a request, and all that says whose they are and what they may.

Knows where HTTP carries them; ``identity`` knows whose they are.

A key or a token comes behind its own scheme (``Thing``, ``Bearer``), or as the password of HTTP
Basic with any user name, for clients that know nothing else, or bare, as some APIs took it once.
The last two say nothing of what it is: a token is told from a key by its form.

A body may take long, and a right may end meanwhile. So whatever is changed after a body was read
is proved again by whoever commits it, in that transaction (``model/guard.py``): for JSON the
credential, for a file the dialect's whole rule. An upload under way is held to the same guard.

Rule: Basic is what a browser may repeat by itself, so it is not taken from a page of another
origin. A credential is looked for in one place only: the one Authorization header. What is proved
again is asked of the registry itself, never of what is remembered.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from gateway.database.changes import News
from gateway.identity.port import AuthHook
from gateway.identity.registry import Registry
from gateway.model.access import FRESH_SECONDS, Access, Principal
from gateway.model.certificate import Certificate
from gateway.model.change import ChangeListener
from gateway.model.errors import Forbidden, Unauthenticated
from gateway.model.guard import Guard, guard_from_now_on
from gateway.traffic.attempts import Attempts
from gateway.traffic.credentials import PrincipalCache, Prove
from gateway.web.certificates import presented_certificate, shown_beside
from gateway.web.proxies import TrustedPeers, single_header
from gateway.web.seen import note_principal
from gateway.web.shares import pass_to


@dataclass(frozen=True, slots=True)
class Callers:
    """Who there is, who may do what, and who speaks for others.

    ``credentials`` remembers whose they were; ``listeners`` hear of what makes that stale, and
    ``news`` knows whether they have heard all of it; ``attempts`` counts who tries to be let in.
    """

    registry: Registry
    hook: AuthHook
    proxies: TrustedPeers
    credentials: PrincipalCache
    listeners: ChangeListener
    attempts: Attempts = field(default_factory=Attempts)
    news: News = field(default_factory=News)


# Three parts of base64url, the first of which begins with `{"` (RFC 7519): no key that we make.
_TOKEN: Final = re.compile(r"eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+){2}")
_SCHEMES: Final = frozenset({"basic", "bearer", "thing", "external", "digest", "negotiate"})

_NOT_FOR_THIS: Final = "this key is not for that: it is limited"
_NO_KEY: Final = (
    "missing or invalid credentials provided: a user's token is no thing's key, which this takes "
    "(Authorization: Thing <key>)"
)


@dataclass(frozen=True, slots=True)
class Proved:
    """Who a request's credential was found to be of, when, and how to find out again."""

    principal: Principal
    prove: Callable[[], Awaitable[Principal]]
    at: float


@dataclass(frozen=True, slots=True)
class RouteReach:
    """Of a route: whether it only reads, and of which kind the entity in its path is."""

    reads: bool
    entity: str


REACHES: Final[web.AppKey[dict[web.AbstractRoute, RouteReach]]] = web.AppKey("reaches")
PROVED: Final = web.RequestKey("proved", Proved)
RIGHT: Final = web.RequestKey("right", Guard)
"""The guard of the upload that this request is."""
_AGAIN: Final = web.RequestKey("again", bool)
CALLERS: Final = web.AppKey("callers", Callers)


def credential(request: web.Request, scheme: str) -> str:
    """What follows ``scheme`` in the Authorization header (RFC 9110 11.6.2).

    Raises ``Unauthenticated`` if there is none, or one of another scheme.
    """
    header = single_header(request, "Authorization") or ""
    given, _, value = header.partition(" ")
    value = value.strip()
    if given.lower() != scheme or not value or not value.isascii():
        raise Unauthenticated()
    return value


def has_scheme(request: web.Request, scheme: str) -> bool:
    """Whether the Authorization header is of that scheme, or has a credential that goes with it.

    A certificate instead of one is a thing's.
    """
    if scheme == "thing" and "Authorization" not in request.headers:
        return presented_certificate(request, request.app[CALLERS].proxies) is not None
    given = request.headers.get("Authorization", "").partition(" ")[0].lower()
    if given in _SCHEMES - {"basic"}:
        return given == scheme
    secret = _unmarked(request)
    return secret is not None and scheme == ("bearer" if _TOKEN.fullmatch(secret) else "thing")


def secret(request: web.Request, scheme: str) -> str:
    """The credential for which ``scheme`` is meant, however it came.

    Raises ``Unauthenticated`` if there is none, or one of another scheme.
    """
    single_header(request, "Authorization")
    unmarked = _unmarked(request)
    return credential(request, scheme) if unmarked is None else unmarked


def _unmarked(request: web.Request) -> str | None:
    """The password of Basic, or the whole header if it is one word; ``None`` if it is neither."""
    given, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
    if given.lower() == "basic":
        return _password(rest.strip()) if _is_own_page(request) else None
    bare = given and not rest and given.lower() not in _SCHEMES
    return given if bare and given.isascii() else None


def _password(encoded: str) -> str | None:
    """What is behind the first colon (RFC 7617); ``None`` if there is none that we could know."""
    try:
        password = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")[2]
    except (binascii.Error, ValueError):
        return None
    return password or None


def _is_own_page(request: web.Request) -> bool:
    """Whether the request comes from no page, or from one that we served."""
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc == request.headers.get("Host")
    except ValueError:  # such as a bracket that is not closed: no page of ours
        return False


async def thing_key(request: web.Request) -> Principal:
    """The thing of ``Authorization: Thing <key>`` and its like, or else of its certificate.

    Raises ``Unauthenticated``, and ``Forbidden`` for a key or a certificate that is nobody's.
    """
    if single_header(request, "Authorization") is None:
        callers = request.app[CALLERS]
        certificate = presented_certificate(request, callers.proxies)
        if certificate is not None:
            by_certificate = partial(_of_certificate, callers.registry, certificate)
            return await proved(request, "certificate", certificate.key, by_certificate)
    if has_scheme(request, "bearer"):
        raise Unauthenticated(_NO_KEY)
    return await thing_of(request, secret(request, "thing"))


async def bearer(request: web.Request) -> Principal:
    """The user of ``Authorization: Bearer <token>`` and its like. Raises ``Unauthenticated``."""
    return await user_of(request, secret(request, "bearer"))


async def thing_of(request: web.Request, key: str) -> Principal:
    """The thing whose key this is, wherever it stood. Raises ``Forbidden``.

    With a key that is bound to a certificate, that must be shown, too.
    """
    callers = request.app[CALLERS]
    certificate = presented_certificate(request, callers.proxies)
    if certificate is None:
        return await proved(request, "thing", key, callers.registry.thing_by_key)
    both = partial(_of_both, callers.registry, key, certificate)
    return await proved(request, "thing+certificate", f"{key} {certificate.key}", both)


async def _of_certificate(registry: Registry, certificate: Certificate, _: str) -> Principal:
    return await registry.thing_by_certificate(certificate)


async def _of_both(registry: Registry, key: str, certificate: Certificate, _: str) -> Principal:
    return await registry.thing_by_key(key, certificate)


async def user_of(request: web.Request, token: str) -> Principal:
    """The user whose token this is, wherever it stood. Raises ``Unauthenticated``."""
    return await proved(request, "bearer", token, request.app[CALLERS].registry.user_by_token)


async def proved(request: web.Request, scheme: str, value: str, prove: Prove) -> Principal:
    """Whose credential ``value`` is, as is remembered for a moment, or as ``prove`` finds out."""
    at = time.monotonic()
    if request.get(_AGAIN):
        found = await prove(value)
    else:
        found = await request.app[CALLERS].credentials.principal(scheme, value, prove)
    note_principal(request, found)
    _check_reach(request, found)
    request[PROVED] = Proved(found, partial(prove, value), at)
    pass_to(request, found)
    return found


def _check_reach(request: web.Request, caller: Principal) -> None:
    """Raise ``Forbidden`` if it is a key that is not for this route, or not for this entity."""
    if caller.limits is None:
        return
    place = request.app[REACHES].get(request.match_info.route)
    kind, reading = (place.entity, place.reads) if place is not None else ("", False)
    entity = request.match_info.get("id", "").lower()
    if not caller.limits.reach(reading=reading, kind=kind, entity=entity):
        raise Forbidden(_NOT_FOR_THIS)


def holder_of(request: web.Request) -> str:
    """Whom what this request takes is counted for: a user; ``""`` if none has been proved."""
    known = request.get(PROVED)
    return (known.principal.owner or known.principal.id) if known is not None else ""


def logging_in(request: web.Request, account: str) -> AbstractAsyncContextManager[None]:
    """Within the block the request's sender logs in to ``account``. Raises ``TooMany``."""
    callers = request.app[CALLERS]
    return callers.attempts.log_in(callers.proxies.address_of(request), account)


def guard_credential(request: web.Request) -> None:
    """What this request changes is changed only if its credential still proves the same caller.

    In the same role; unless it was proved just now.
    """
    known = request.get(PROVED)
    if known is not None and time.monotonic() - known.at >= FRESH_SECONDS:
        guard_from_now_on(Guard(known.principal.whose, partial(_prove_again, known)))


def rights_of(request: web.Request, access: Access) -> tuple[str, ...]:
    """The ids of all whose rights the access is made of, as ``RightsChanged`` names them.

    A dialect may call the caller by another id than the registry does.
    """
    known = request.get(PROVED)
    caller = access.principal if known is None else known.principal
    return tuple({*caller.whose, access.scope.owner, *access.also})


async def _prove_again(known: Proved) -> None:
    if await known.prove() != known.principal:
        raise Forbidden()


def right_to(
    request: web.Request,
    access: Access,
    permit: Callable[[], Awaitable[Access]],
    *,
    rule: Hashable = None,
) -> Guard:
    """The right to ``access``, which ``permit``, a dialect's own rule, just gave, as a guard.

    An upload of this request is held to it while it is under way, too. It is not due while
    it is fresh and no change of these rights was heard since. ``rule`` is for a rule that asks for
    nothing of a request but its credential, its action and its scope: then all requests that have
    the same in these have one right. It is the rule's name.
    """
    credentials, whose = request.app[CALLERS].credentials, rights_of(request, access)
    right = Guard(
        whose,
        partial(_permit_again, request, access, permit),
        lambda: not access.is_fresh or credentials.changed_since(whose, access.proved_at),
        None if rule is None else _alike(request, access, rule),
    )
    request[RIGHT] = right
    return right


def _alike(request: web.Request, access: Access, rule: Hashable) -> Hashable:
    beside = shown_beside(request, request.app[CALLERS].proxies)
    given = tuple(request.headers.getall("Authorization", ()))
    return (rule, access.principal, access.action, access.scope, given, beside)


async def _permit_again(
    request: web.Request, access: Access, permit: Callable[[], Awaitable[Access]]
) -> None:
    """Raises as ``permit``, and ``Forbidden`` for another access."""
    request[_AGAIN] = True
    found = await permit()
    if (found.principal.id, found.scope) != (access.principal.id, access.scope):
        raise Forbidden()
