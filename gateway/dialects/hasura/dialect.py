"""The Hasura dialect, as one value."""

from __future__ import annotations

from typing import Final

from gateway.dialects.hasura.files import DIALECT, RANGE_HEADER, ROUTES
from gateway.dialects.hasura.identity import ASSERTIONS, ROLE
from gateway.dialects.hasura.openapi import DESCRIPTION
from gateway.dialects.hasura.policy import POLICY, Policy
from gateway.dialects.hasura.rendering import STATUSES, render_error
from gateway.dialects.hasura.settings import HasuraSettings
from gateway.web.dialect import BASIC, BEARER, Dialect, DialectContext, NginxPart


def _prepare(context: DialectContext) -> None:
    policy = Policy(context.settings(HasuraSettings).policy)
    context.app[POLICY] = None if context.hook_decides else policy


HASURA: Final = Dialect(
    name=DIALECT,
    routes=ROUTES,
    render_error=render_error,
    statuses=STATUSES,
    owns=("/v1/file",),
    description=DESCRIPTION,
    settings=HasuraSettings,
    challenges=(BEARER, BASIC),
    request_headers=(ROLE, RANGE_HEADER),
    nginx=NginxPart(
        locations=("v1/file",),
        files=("v1/file/[^/]+",),
        significant_headers=(RANGE_HEADER, ROLE),
        asserted_headers=tuple(name for name in ASSERTIONS if name != ROLE),
    ),
    prepare=_prepare,
)
