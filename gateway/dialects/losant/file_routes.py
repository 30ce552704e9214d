"""``/applications/<id>/privateFiles``: directories, and files whose bytes come in a second step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gateway.dialects.losant.callers import permitted, permitted_file
from gateway.dialects.losant.context import LOSANT
from gateway.dialects.losant.files import PrivateFiles
from gateway.dialects.losant.listing import FileListing
from gateway.dialects.losant.paths import (
    ROOT,
    Place,
    check_directory,
    check_new_name,
    check_place,
    wanted_directory,
)
from gateway.dialects.losant.presigned import link_of, upload_form
from gateway.dialects.losant.query import (
    content_type_member,
    dimensions_member,
    link_seconds,
    list_query,
    query_choice,
    query_text,
    read_object,
    size_member,
    skip_body,
)
from gateway.dialects.losant.records import (
    COMPLETED,
    DIRECTORY,
    FILE,
    PENDING,
    AwaitedUpload,
    Declared,
    is_directory,
    place_of,
)
from gateway.dialects.losant.shown import shown_file
from gateway.model.access import Action, GroupRole
from gateway.model.errors import Malformed
from gateway.model.file import FileRecord
from gateway.web.authentication import CALLERS
from gateway.web.dialect import Route
from gateway.web.responses import json_reply

_ORDERS: Final = ("lastUpdated", "type", "name", "creationDate")
_DECLARED: Final = ("fileSize", "contentType", "fileDimensions")


async def list_files(request: web.Request) -> web.StreamResponse:
    """``GET .../privateFiles``: one page."""
    found = await permitted(request, "privateFiles.get", GroupRole.VIEWER)
    await request.app[CALLERS].hook.authorise(found.access(Action.READ))
    asked = list_query(request, _ORDERS, "lastUpdated")
    directory, seconds = query_text(request, "directory"), link_seconds(request)
    listing = FileListing(
        application=found.application.id,
        directory=wanted_directory(directory) if directory else None,
        type=query_choice(request, "type", (FILE, DIRECTORY), ""),
        status=query_choice(request, "status", (COMPLETED, PENDING), ""),
        page=asked.wanted,
    )
    page = await _files(request).list(listing)
    exists = await _files(request).has_directory(listing)
    items = [shown_file(record, link_of(request, record, seconds)) for record in page.items]
    context = {"parentExists": exists, "applicationId": found.application.id}
    if listing.directory is not None:
        context["directory"] = listing.directory
    return json_reply(asked.shown(items, page.total) | context)


async def create(request: web.Request) -> web.StreamResponse:
    """``POST .../privateFiles``: a directory, or a file that waits for its bytes; 201."""
    found = await permitted(request, "privateFiles.post", GroupRole.EDITOR)
    access = found.access(Action.CREATE)
    await request.app[CALLERS].hook.authorise(access)
    body = await read_object(request, ("name", "type", "parentDirectory", *_DECLARED))
    kind, files = body.get("type"), _files(request)
    if kind not in (FILE, DIRECTORY):
        raise Malformed("type is not one of file, directory")
    name, parent = (
        check_new_name(body.get("name")),
        check_directory(body.get("parentDirectory", ROOT)),
    )
    place, declared = check_place(parent, name, directory=kind == DIRECTORY), _declared(body)
    if kind == DIRECTORY:
        record = await files.add_directory(access, found.caller, place)
        return json_reply(shown_file(record), 201)
    return _to_upload(request, await files.add_file(access, found.caller, place, declared))


async def view(request: web.Request) -> web.StreamResponse:
    """``GET .../privateFiles/<id>``."""
    _, access = await permitted_file(request, "privateFile.get", GroupRole.VIEWER, Action.READ)
    seconds = link_seconds(request)
    return _shown(request, await _files(request).find(access), seconds)


async def update(request: web.Request) -> web.StreamResponse:
    """``PATCH .../privateFiles/<id>``: new bytes are awaited; 201."""
    _, access = await permitted_file(request, "privateFile.patch", GroupRole.EDITOR, Action.CREATE)
    declared = _declared(await read_object(request, _DECLARED))
    return _to_upload(request, await _files(request).await_upload(access, declared))


async def remove(request: web.Request) -> web.StreamResponse:
    """``DELETE .../privateFiles/<id>``: a directory with all that is in it."""
    _, access = await permitted_file(request, "privateFile.delete", GroupRole.EDITOR, Action.DELETE)
    await skip_body(request)
    await _files(request).remove(access)
    return json_reply({"success": True})


async def move(request: web.Request) -> web.StreamResponse:
    """``POST .../privateFiles/<id>/move``: the file under its new id, 201."""
    _, access = await permitted_file(request, "privateFile.move", GroupRole.EDITOR, Action.CREATE)
    name, parent = query_text(request, "name"), query_text(request, "parentDirectory")
    seconds = link_seconds(request)
    await skip_body(request)
    if not name and not parent:
        raise Malformed("neither name nor parentDirectory is given")
    new_name = check_new_name(name) if name else None
    new_parent = check_directory(parent) if parent else None

    def place(record: FileRecord) -> Place:
        old = place_of(record)
        return check_place(
            new_parent or old.parent, new_name or old.name, directory=is_directory(record)
        )

    return _shown(request, await _files(request).move(access, place), seconds, 201)


def _declared(body: Mapping[str, Any]) -> Declared:
    return Declared(
        size_member(body, "fileSize"), content_type_member(body), dimensions_member(body)
    )


def _to_upload(request: web.Request, awaited: AwaitedUpload) -> web.StreamResponse:
    shown = shown_file(awaited.record)
    return json_reply(shown | {"upload": upload_form(request, awaited)}, 201)


def _shown(
    request: web.Request, record: FileRecord, seconds: int, status: int = 200
) -> web.StreamResponse:
    return json_reply(shown_file(record, link_of(request, record, seconds)), status)


def _files(request: web.Request) -> PrivateFiles:
    return request.app[LOSANT].files


_FILES: Final = "/applications/{application}/privateFiles"
_FILE: Final = _FILES + "/{file}"
ROUTES: Final = (
    Route("GET", _FILES, list_files),
    Route("POST", _FILES, create),
    Route("GET", _FILE, view),
    Route("PATCH", _FILE, update),
    Route("DELETE", _FILE, remove),
    Route("POST", f"{_FILE}/move", move),
)
