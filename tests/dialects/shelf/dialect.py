"""The Shelf API: every user has a shelf of files, each with a mark, in the order of the marks.

``POST /shelf`` takes a form: ``token``, ``mark``, then ``file``. Everything else is as in HTTP.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib import resources
from typing import Final

from aiohttp import web
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from gateway.catalogue.port import Listing, Order
from gateway.database.pool import Database
from gateway.database.statements import SqlFolder
from gateway.dialects import DIALECTS
from gateway.filestore import Deposit, Mode
from gateway.model import errors
from gateway.model.access import Access, Action, Principal
from gateway.model.errors import GatewayError, Malformed, StartupFailed
from gateway.model.file import Draft, FileRecord, Scope, check_name
from gateway.settings.sources import SettingsGroup
from gateway.settings.types import Count
from gateway.web.authentication import CALLERS, bearer, user_of
from gateway.web.context import FILES
from gateway.web.dialect import Dialect, DialectContext, NginxPart, RenderedError, Route
from gateway.web.downloads.serve import serve_file
from gateway.web.errors import MissingField
from gateway.web.openapi.credentials import BEARER
from gateway.web.openapi.files import DOWNLOAD, DOWNLOADED
from gateway.web.openapi.vocabulary import (
    BYTES,
    FORM,
    INTEGER,
    TEXT,
    Chapter,
    Description,
    Operation,
    Response,
    query,
    record,
)
from gateway.web.rendering import status_of
from gateway.web.uploads.form import open_form

NAME: Final = "shelf"
KIND: Final = "shelves"
PLAIN: Final = "text/plain; charset=utf-8"
STATUSES: Final[Mapping[type[GatewayError], int]] = {errors.Conflict: 422}
BY_MARK: Final = Order("shelf/mark")


class ShelfSettings(SettingsGroup):
    """What is configured of the shelf alone."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_SHELF_")

    largest_bytes: Count = Field(1000, description="Largest file on a shelf.")
    closed: bool = Field(False, description="Refuse to start.")


class Shelf:
    """What the dialect keeps at run time."""

    def __init__(self, database: Database, largest_bytes: int) -> None:
        self.largest_bytes = largest_bytes
        self._database = database

    async def make(self, scope: Scope) -> None:
        """Let there be a shelf for this user."""
        await self._database.run("shelf/make_scope", scope.kind, scope.owner)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Note from when to when it was open."""
        opening = await self._database.value("shelf/open_shelf")
        try:
            yield
        finally:
            await self._database.run("shelf/close_shelf", opening)


SHELF_STATE: Final = web.AppKey("shelf", Shelf)


async def put_up(request: web.Request) -> web.StreamResponse:
    """``POST /shelf``: who asks, and the mark, are fields before the file."""
    shelf = request.app[SHELF_STATE]
    async with open_form(request, credential_in_fields=True) as form:
        fields = await form.read_fields()
        user, mark = await user_of(request, _required(fields, "token")), _number(fields)
        access = await _authorised(request, user, Action.CREATE)
        await shelf.make(access.scope)
        upload = await form.read_file(access.scope, limit_bytes=shelf.largest_bytes)
        name = check_name(upload.filename)
        draft = Draft(access.scope, name, upload.content_type, {"mark": mark})
        deposit = Deposit(access, draft, Mode.CREATE, upload.claims)
        stored = await request.app[FILES].deposit(deposit, upload.writer)
    return _lines([stored], 201)


async def show(request: web.Request) -> web.StreamResponse:
    """``GET /shelf``: all files by their marks, or those with a mark ``below`` a number."""
    access = await _authorised(request, await bearer(request), Action.READ)
    files, below = request.app[FILES], request.query.get("below")
    if below is not None:
        found = await files.select("shelf/marked_below", KIND, access.scope.owner, int(below))
        return _lines(found)
    page = await files.list(Listing(access.scope, order=BY_MARK, limit=100))
    return _lines(page.items)


async def download(request: web.Request) -> web.StreamResponse:
    """``GET`` and ``HEAD /shelf/{name}``."""
    return await serve_file(request, _resolve)


async def _resolve(request: web.Request) -> tuple[Access, FileRecord]:
    name = check_name(request.match_info["name"])
    access = await _authorised(request, await bearer(request), Action.READ, name)
    return access, await request.app[FILES].find(access.scope, name)


async def _authorised(
    request: web.Request, user: Principal, action: Action, name: str = ""
) -> Access:
    access = Access(user, action, NAME, Scope(KIND, user.id), name)
    await request.app[CALLERS].hook.authorise(access)
    return access


def _required(fields: Mapping[str, str], name: str) -> str:
    if name not in fields:
        raise MissingField("part", name)
    return fields[name]


def _number(fields: Mapping[str, str]) -> int:
    try:
        return int(_required(fields, "mark"))
    except ValueError as exc:
        raise Malformed("a mark is a number") from exc


def _lines(files: Sequence[FileRecord], status: int = 200) -> web.Response:
    lines = (f"{f.attributes['mark']} {f.name} {f.content.size}\n" for f in files)
    return web.Response(status=status, text="".join(lines))


def render_error(error: GatewayError) -> RenderedError:
    """One line of plain text with the status in it."""
    status = status_of(error, STATUSES)
    return RenderedError(f"shelf: {status} {error}\n".encode(), PLAIN)


def _prepare(context: DialectContext) -> None:
    own = context.settings(ShelfSettings)
    context.app[SHELF_STATE] = Shelf(context.database, own.largest_bytes)


async def _check(context: DialectContext) -> None:
    if context.settings(ShelfSettings).closed:
        raise StartupFailed("the shelf is closed")


def _serving(context: DialectContext) -> contextlib.AbstractAsyncContextManager[None]:
    return context.app[SHELF_STATE].open()


_LINES: Final = Response("A line for each file: mark, name, size", {PLAIN: TEXT})
DESCRIPTION: Final = Description(
    chapters=(
        Chapter(
            "Shelf",
            "Files with marks.",
            {
                "POST /shelf": Operation(
                    "Put a file on the shelf",
                    responses={201: _LINES},
                    refusals=(401, 422),
                    body={FORM: record({"token": TEXT, "mark": INTEGER, "file": BYTES})},
                ),
                "GET /shelf": Operation(
                    "What is on the shelf",
                    responses={200: _LINES},
                    refusals=(401,),
                    credentials=((BEARER,),),
                    parameters=(query("below", INTEGER),),
                ),
                "GET,HEAD /shelf/{name}": Operation(
                    "Download a file",
                    responses=DOWNLOADED,
                    refusals=(401, 404, 412, 416),
                    credentials=((BEARER,),),
                    parameters=DOWNLOAD,
                ),
            },
        ),
    ),
    refusal=TEXT,
    refusal_type=PLAIN,
)

SHELF: Final = Dialect(
    name=NAME,
    routes=(
        Route("POST", "/shelf", put_up),
        Route("GET", "/shelf", show),
        Route("GET", "/shelf/{name}", download),
        Route("HEAD", "/shelf/{name}", download),
    ),
    render_error=render_error,
    statuses=STATUSES,
    owns=("/shelf",),
    description=DESCRIPTION,
    settings=ShelfSettings,
    sql=SqlFolder(NAME, resources.files(__package__ or "") / "sql"),
    nginx=NginxPart(locations=("shelf",), files=("shelf/[^/]+",)),
    prepare=_prepare,
    check=_check,
    serving=_serving,
)
WITH_SHELF: Final = (*DIALECTS, SHELF)
