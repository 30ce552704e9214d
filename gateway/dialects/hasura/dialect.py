"""The Hasura dialect, as one value."""

from __future__ import annotations

from typing import Final

from gateway.dialects.hasura.files import DIALECT, RANGE_HEADER, ROUTES
from gateway.dialects.hasura.identity import ASSERTIONS, ROLE
from gateway.dialects.hasura.openapi import DESCRIPTION
from gateway.dialects.hasura.policy import POLICY, Policy
from gateway.dialects.hasura.rendering import STATUSES, render_error
from gateway.dialects.hasura.settings import HasuraSettings
from gateway.model.errors import StartupFailed
from gateway.web.authentication import CALLERS
from gateway.web.dialect import BASIC, BEARER, Dialect, DialectContext, NginxPart


async def _check(context: DialectContext) -> None:
    """Raise ``StartupFailed`` for a policy that would let in whoever registers."""
    policy, users = context.app[POLICY], context.app[CALLERS].registry.users
    if policy is not None and policy.trusts_users and users.open_registration:
        raise StartupFailed(
            f"GATEWAY_HASURA_POLICY={policy} would let everybody write while anybody may register: "
            "set GATEWAY_OPEN_REGISTRATION=false, or a hook"
        )


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
    check=_check,
)
