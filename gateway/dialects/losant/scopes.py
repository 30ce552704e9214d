"""Which scopes of a token each endpoint accepts: the published lists, as one table.

``all.<Owner>`` is everything, ``.read`` all that only reads, ``.bounded`` what the lists of the
official client name beside it, ``.cli`` what its command line needs.

Rule: an endpoint accepts what is in its row and nothing else; a scope that is in no row is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from gateway.model.errors import Forbidden, Malformed

ALL_USER: Final = "all.User"
ALL_APPLICATION: Final = "all.Application"

_FULL: Final = ("", ".bounded")
_WRITING: Final = ("", ".bounded", ".cli")


def _all(*owners: str, forms: Collection[str]) -> set[str]:
    return {f"all.{owner}{form}" for owner in owners for form in forms}


def _own(resource: str, action: str) -> set[str]:
    return {f"{resource}.*", f"{resource}.{action}"}


def _only_organization(*forms: str) -> set[str]:
    return {f"only.Organization{form}" for form in ("", ".bounded", *forms)}


_OWNERS: Final = ("Application", "Organization", "User")
_FILES_WRITE: Final = _all("Application", "User", forms=_WRITING) | _all(
    "Organization", forms=_FULL
)
_FILES_READ: Final = _FILES_WRITE | _all(*_OWNERS, forms=(".read",))
_TOKENS_READ: Final = _all(*_OWNERS, forms=("", ".bounded", ".read"))
_TOKENS_WRITE: Final = _all(*_OWNERS, forms=("",))

ACCEPTED: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(accepted | _own(*name.split(".")))
    for name, accepted in {
        "applications.get": _all("Organization", "User", forms=("", ".bounded", ".read"))
        | {"all.User.cli"}
        | _only_organization(".read"),
        "applications.post": _all("Organization", "User", forms=_FULL) | _only_organization(),
        "application.get": _FILES_READ,
        "application.delete": _all(*_OWNERS, forms=_FULL),
        "applicationApiTokens.get": _TOKENS_READ,
        "applicationApiTokens.post": _TOKENS_WRITE,
        "applicationApiToken.get": _TOKENS_READ,
        "applicationApiToken.patch": _TOKENS_WRITE,
        "applicationApiToken.delete": _TOKENS_WRITE,
        "privateFiles.get": _FILES_READ,
        "privateFiles.post": _FILES_WRITE,
        "privateFile.get": _FILES_READ,
        "privateFile.patch": _FILES_WRITE,
        "privateFile.delete": _FILES_WRITE,
        "privateFile.move": _FILES_WRITE,
        "privateFile.upload": _FILES_WRITE,
    }.items()
}
"""Scopes by endpoint, of which a token needs one."""

_SCOPE: Final = re.compile(r"[A-Za-z]{1,64}\.(?:\*|[A-Za-z]{1,64})(?:\.[a-z]{1,16})?")
_MOST: Final = 512
_BEYOND_APPLICATION: Final = ("all.User", "all.Organization", "only.")


def check_scope(held: Collection[str], endpoint: str) -> None:
    """Raise ``Forbidden`` unless one of the scopes is accepted there."""
    if ACCEPTED[endpoint].isdisjoint(held):
        raise Forbidden("the token's scopes do not allow this request")


def check_scopes(given: object) -> tuple[str, ...]:
    """Scopes that a new token is to have. Raises ``Malformed``.

    The product knows many that mean nothing here; whatever looks like one is taken.
    """
    if not isinstance(given, list) or not 1 <= len(given) <= _MOST:
        raise Malformed("scope is not a list, or empty, or too long")
    for scope in given:
        if not isinstance(scope, str) or not _SCOPE.fullmatch(scope):
            raise Malformed("scope has an item that is no scope")
    if len(set(given)) != len(given):
        raise Malformed("scope has an item twice")
    return tuple(given)


def check_of_application(scopes: Collection[str]) -> None:
    """Raise ``Malformed`` for scopes that no application's token can have."""
    if any(scope.startswith(_BEYOND_APPLICATION) for scope in scopes):
        raise Malformed("an application's token cannot have such a scope")


def check_passed_on(held: Collection[str], given: Collection[str]) -> None:
    """Raise ``Forbidden`` unless who holds the one may give the other away."""
    if not {ALL_USER, "all.Organization", ALL_APPLICATION}.isdisjoint(held):
        return
    if not all(scope in held or f"{scope.partition('.')[0]}.*" in held for scope in given):
        raise Forbidden("a token gives no scope that it has not got itself")
