"""The Mainflux dialect: filestore and identity, as one value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from gateway.database.statements import dialect_folder
from gateway.dialects.mainflux import (
    audit,
    certificates,
    channels,
    connections,
    files,
    generations,
    groups,
    identify,
    invitations,
    keys,
    messages,
    orgs,
    policies,
    quarantine,
    quotas,
    things,
    users,
    webhooks,
)
from gateway.dialects.mainflux.openapi.everything import DESCRIPTION
from gateway.dialects.mainflux.rendering import render_error
from gateway.dialects.mainflux.settings import ALLOWED_EXTENSIONS, MainfluxSettings
from gateway.web.dialect import BASIC, BEARER, Dialect, DialectContext, NginxPart, Route

_READING_POSTS: Final = {("POST", "/tokens"), ("POST", "/password/reset-request")}


def _altering_rights(routes: Iterable[Route]) -> Iterator[Route]:
    """Whatever changes users, things or groups may change what somebody may read.

    A log-in does not, nor who asks for a new password: else whoever guesses passwords would have
    everybody's rights looked up again and again.
    """
    for route in routes:
        reads = route.method in ("GET", "HEAD") or (route.method, route.path) in _READING_POSTS
        yield replace(route, alters_rights=not reads)


def _prepare(context: DialectContext) -> None:
    own = context.settings(MainfluxSettings)
    context.app[ALLOWED_EXTENSIONS] = frozenset(own.allowed_extensions)


_ISSUER: Final = "mainflux.auth"
_COLLECTIONS: Final = ("files", "groupfiles", "groups/[^/]+/files")

MAINFLUX: Final = Dialect(
    name="mainflux",
    sql=dialect_folder("mainflux"),
    routes=(
        *files.ROUTES,
        *_altering_rights(users.ROUTES),
        *_altering_rights(things.ROUTES),
        *_altering_rights(certificates.ROUTES),
        *_altering_rights(groups.ROUTES),
        *channels.ROUTES,
        *connections.ROUTES,
        *identify.ROUTES,
        *_altering_rights(keys.ROUTES),
        *_altering_rights(invitations.ROUTES),
        *_altering_rights(orgs.ROUTES),
        *_altering_rights(policies.ROUTES),
        *_altering_rights(generations.ROUTES),
        *quotas.ROUTES,
        *messages.ROUTES,
        *webhooks.ROUTES,
        *audit.ROUTES,
        *quarantine.ROUTES,
    ),
    render_error=render_error,
    slashed=True,
    challenges=(BEARER, BASIC),
    description=DESCRIPTION,
    settings=MainfluxSettings,
    nginx=NginxPart(_COLLECTIONS, tuple(f"{path}/[^/]+" for path in _COLLECTIONS)),
    token_issuer=_ISSUER,
    prepare=_prepare,
)
