"""The Hasura dialect, as one value."""

from __future__ import annotations

from typing import Final

from gateway.dialects.hasura.files import DIALECT, ROUTES
from gateway.dialects.hasura.openapi import DESCRIPTION
from gateway.dialects.hasura.rendering import STATUSES, render_error
from gateway.web.dialect import Dialect

HASURA: Final = Dialect(
    name=DIALECT,
    routes=ROUTES,
    render_error=render_error,
    statuses=STATUSES,
    owns=("/v1/file",),
    description=DESCRIPTION,
)
