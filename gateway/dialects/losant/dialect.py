"""The Losant dialect, as one value."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Final

from gateway.database.statements import dialect_folder
from gateway.dialects.losant import application_routes, direct, file_routes
from gateway.dialects.losant.applications import Applications
from gateway.dialects.losant.context import LOSANT, Losant
from gateway.dialects.losant.files import PrivateFiles
from gateway.dialects.losant.openapi import DESCRIPTION
from gateway.dialects.losant.records import DIALECT
from gateway.dialects.losant.rendering import STATUSES, render_error
from gateway.dialects.losant.settings import LosantSettings
from gateway.dialects.losant.tokens import ApiTokens
from gateway.dialects.losant.trees import TreeWork
from gateway.web.authentication import CALLERS
from gateway.web.context import FILES
from gateway.web.dialect import Dialect, DialectContext, NginxPart


def _prepare(context: DialectContext) -> None:
    own, database = context.settings(LosantSettings), context.database
    callers, files, grace = context.app[CALLERS], context.app[FILES], context.grace_seconds
    listener, tokens = callers.listeners, ApiTokens(database, callers.registry)
    work = TreeWork(
        database,
        files,
        tokens,
        listener,
        seconds=own.upkeep_seconds,
        grace_seconds=grace,
    )
    context.app[LOSANT] = Losant(
        settings=own,
        applications=Applications(database, callers.registry.orgs, grace_seconds=grace),
        tokens=tokens,
        files=PrivateFiles(
            database,
            files,
            listener,
            pending_seconds=own.pending_seconds,
            on_work=work.wake,
        ),
        work=work,
    )


def _serving(context: DialectContext) -> AbstractAsyncContextManager[None]:
    return context.app[LOSANT].work.running()


LOSANT_DIALECT: Final = Dialect(
    name=DIALECT,
    sql=dialect_folder(DIALECT),
    routes=(*application_routes.ROUTES, *file_routes.ROUTES, *direct.ROUTES),
    render_error=render_error,
    statuses=STATUSES,
    owns=("/applications", "/auth/user"),
    description=DESCRIPTION,
    settings=LosantSettings,
    request_headers=("Accept-Version",),
    nginx=NginxPart(locations=("applications", "auth/user")),
    prepare=_prepare,
    serving=_serving,
)
