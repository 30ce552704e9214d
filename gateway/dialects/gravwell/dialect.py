"""The Gravwell dialect, as one value."""

from __future__ import annotations

from typing import Final

from gateway.database.statements import dialect_folder
from gateway.dialects.gravwell import files, session
from gateway.dialects.gravwell.credentials import TOKEN_HEADER
from gateway.dialects.gravwell.openapi import DESCRIPTION
from gateway.dialects.gravwell.rendering import STATUSES, render_error
from gateway.dialects.gravwell.settings import MAX_FILE_BYTES, GravwellSettings
from gateway.web.dialect import Dialect, DialectContext, NginxPart


def _prepare(context: DialectContext) -> None:
    context.app[MAX_FILE_BYTES] = context.settings(GravwellSettings).max_file_bytes


GRAVWELL: Final = Dialect(
    name=files.DIALECT,
    routes=(*files.ROUTES, *session.ROUTES),
    render_error=render_error,
    statuses={**STATUSES, session.WrongPassword: 422},
    owns=("/api",),
    description=DESCRIPTION,
    settings=GravwellSettings,
    sql=dialect_folder(files.DIALECT),
    request_headers=(TOKEN_HEADER,),
    nginx=NginxPart(
        locations=("api",),
        files=("api/files/[^/]+",),
        significant_headers=(TOKEN_HEADER,),
    ),
    prepare=_prepare,
)
