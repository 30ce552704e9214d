"""The Mainflux filestore: files of things and files of groups.

``/files`` (thing key), ``/groups/{id}/files`` (Bearer token; members' things may read)
and ``/groupfiles/{name}`` (thing key). The bodies are a superset of the published page
and of the real server's.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, Final
from uuid import UUID

import orjson
from aiohttp import web

from gateway.catalogue.port import BY_NAME, Listing, Order
from gateway.dialects.mainflux.classes import class_of, format_of
from gateway.dialects.mainflux.fields import as_object, metadata_of, path_id, read_object
from gateway.dialects.mainflux.query import MOST_SHOWN, paging_of, query_value
from gateway.dialects.mainflux.settings import ALLOWED_EXTENSIONS
from gateway.filestore import Deposit, Filestore, Mode
from gateway.model.access import Access, Action, GroupRole, Principal
from gateway.model.digest import parse_sha256_text
from gateway.model.errors import Forbidden, Malformed, NotFound, PreconditionFailed
from gateway.model.file import Draft, FileRecord, Scope, check_name, check_seen
from gateway.model.guard import Guard, guarding
from gateway.model.json import parse_json
from gateway.model.media import guess_content_type
from gateway.web.authentication import CALLERS, bearer, has_scheme, right_to, thing_key
from gateway.web.context import FILES
from gateway.web.dialect import Route
from gateway.web.downloads.asked import PIN_VARIABLE
from gateway.web.downloads.beside import serve_named
from gateway.web.downloads.conditions import expected_blob
from gateway.web.downloads.context import DOWNLOADS
from gateway.web.errors import UnsupportedMedia
from gateway.web.responses import empty_reply, json_reply, stream_json
from gateway.web.uploads.context import Upload
from gateway.web.uploads.form import open_form
from gateway.web.uploads.receive import receive_raw

DIALECT: Final = "mainflux"
THINGS: Final = "things"
GROUPS: Final = "groups"

_TIME: Final = "time"
_PINNED: Final = "/sha256/{digest}/{name}"
_LINKED: Final = f"/groups/{{id}}/files{_PINNED}"
_LINK_SECONDS: Final = 3600
_LONGEST_LINK: Final = 7 * 86_400
# As ``sql/dialects/mainflux/queries/files.sql`` registers them.
_ORDERS: Final = {
    _TIME: Order("mainflux/time"),
    "name": BY_NAME,
    "class": Order("mainflux/class"),
    "format": Order("mainflux/format"),
}
_ORDER_NAMES: Final = {order: name for name, order in _ORDERS.items()}


async def upload(request: web.Request) -> web.StreamResponse:
    """``POST /files`` and ``POST /groups/{id}/files``: a new file, 201."""
    access = await _authorise(request, Action.CREATE)
    right = _right(request, access)
    async with open_form(request) as form:
        upload = await form.read_file(access.scope)
        name = check_seen(_allowed_name(request, upload.filename))
        draft = _draft(form.fields, upload, access.scope, name)
        deposit = Deposit(access, draft, Mode.CREATE, upload.claims, guard=right)
        record = await request.app[FILES].deposit(deposit, upload.writer)
    return json_reply(_created(record), 201)


async def update(request: web.Request) -> web.StreamResponse:
    """``PUT .../{name}``: new bytes from a form, or new metadata from JSON; 200.

    Or the bytes as they are, as ``curl -T`` sends them, of a file that may be new; 200 or 201.
    """
    access = await _authorise(request, Action.CREATE)
    if _is_raw(request):
        return await _put_raw(request, access)
    record = await request.app[FILES].find(access.scope, access.name)
    expected = expected_blob(request, record)
    if request.content_type == "multipart/form-data":
        return await _replace(request, access, expected)
    if "json" in request.content_type:
        return await _amend(request, access, expected)
    raise UnsupportedMedia(
        "unsupported content type: multipart/form-data has new bytes, application/json new metadata"
    )


def _is_raw(request: web.Request) -> bool:
    """Whether the body is the file itself: what is none of what the API and forms have."""
    kind = request.content_type
    form = kind.startswith("multipart/") or kind == "application/x-www-form-urlencoded"
    return not form and "json" not in kind


async def _put_raw(request: web.Request, access: Access) -> web.StreamResponse:
    name, record = _allowed_name(request, access.name), None
    with contextlib.suppress(NotFound):
        record = await request.app[FILES].find(access.scope, name)
    expected = expected_blob(request, record)
    mode = Mode.REPLACE
    if record is None:
        mode, name = Mode.CREATE, check_seen(name)
    guessed, right = guess_content_type(name), _right(request, access)
    async with receive_raw(request, access.scope, default_type=guessed) as upload:
        draft = _draft({}, upload, access.scope, name)
        deposit = Deposit(access, draft, mode, upload.claims, expected, guard=right)
        stored = await request.app[FILES].deposit(deposit, upload.writer)
    return json_reply(_created(stored), 201 if record is None else 200)


async def download(request: web.Request) -> web.StreamResponse:
    """``GET`` and ``HEAD .../{name}``."""
    return await serve_named(request, request.match_info["name"], _resolve)


async def download_from_groups(request: web.Request) -> web.StreamResponse:
    """``GET`` and ``HEAD /groupfiles/{name}``: from the first of the thing's groups that has it."""
    return await serve_named(request, request.match_info["name"], _resolve_in_groups)


async def link(request: web.Request) -> web.StreamResponse:
    """``POST /groups/{id}/files/sha256/{digest}/{name}``: where a CDN has it for a while; 201.

    ``seconds`` of the body say for how long, an hour if it does not.
    """
    access, record = await _resolve(request, request.match_info["name"])
    links = request.app[DOWNLOADS].links
    if links is None:
        raise NotFound()
    if parse_sha256_text(request.match_info[PIN_VARIABLE]).value != record.content.digest.raw:
        raise PreconditionFailed()
    body = await read_object(request) if request.can_read_body else {}
    expires = int(time.time()) + _link_seconds(body.get("seconds", _LINK_SECONDS))
    path = f"/groups/{access.scope.owner}/files/sha256/{record.content.digest.hex}/{record.name}"
    return json_reply({"url": links.link(path, expires), "expires": expires}, 201)


def _link_seconds(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LONGEST_LINK:
        return value
    raise Malformed(f"seconds must be a whole number from 1 to {_LONGEST_LINK}")


async def _resolve(request: web.Request, name: str) -> tuple[Access, FileRecord]:
    access = await _permitted(request, Action.READ, name)
    await request.app[CALLERS].hook.authorise(access)
    return access, await request.app[FILES].find(access.scope, access.name)


async def _resolve_in_groups(request: web.Request, name: str) -> tuple[Access, FileRecord]:
    callers, thing = request.app[CALLERS], await thing_key(request)
    check_name(name)
    for group in await callers.registry.groups_of_thing(UUID(thing.id)):
        access = _access(request, thing, Action.READ, Scope(GROUPS, str(group)), name)
        await callers.hook.authorise(access)
        with contextlib.suppress(NotFound):
            return access, await request.app[FILES].find(access.scope, name)
    raise NotFound()


async def remove(request: web.Request) -> web.StreamResponse:
    """``DELETE .../{name}``: 204."""
    access = await _authorise(request, Action.DELETE)
    files = request.app[FILES]
    expected = expected_blob(request, await files.find(access.scope, access.name))
    await files.remove(access, expected=expected)
    return empty_reply(204)


async def list_files(request: web.Request) -> web.StreamResponse:
    """``GET /files`` and ``GET /groups/{id}/files``: one page, or all with ``limit=0``; 200."""
    access = await _authorise(request, Action.READ)
    listing, files = _listing(request, access.scope), request.app[FILES]
    page = await files.list(listing)
    shown = _shown_listing(listing, page.total)
    if listing.limit == 0:
        everything = _everything(files, listing, shown)
        return await stream_json(request, everything, request.app[DOWNLOADS].stalls)
    infos = [_shown(record) for record in page.items]
    return json_reply({**shown, "files": infos, "files_info": infos})


async def list_in_groups(request: web.Request) -> web.StreamResponse:
    """``GET /groupfiles``: what the thing's groups offer it, one group's files after another's.

    The groups are in the order in which ``/groupfiles/{name}`` looks through them, so of two
    files of one name it sends the first. Without a limit that is as many as a page can have.
    """
    callers, thing = request.app[CALLERS], await thing_key(request)
    wanted = _listing(request, Scope(THINGS, thing.id))
    limit, total = wanted.limit or MOST_SHOWN, 0
    found: list[FileRecord] = []
    for group in await callers.registry.groups_of_thing(UUID(thing.id)):
        scope = Scope(GROUPS, str(group))
        await callers.hook.authorise(_access(request, thing, Action.READ, scope, ""))
        offset, left = max(0, wanted.offset - total), limit - len(found)
        # Of a group that no file is wanted of, one is asked for: what counts is its total.
        page = await request.app[FILES].list(
            replace(wanted, scope=scope, offset=offset, limit=max(1, left))
        )
        found += page.items[:left]
        total += page.total
    infos = [{**_shown(record), "group_id": record.scope.owner} for record in found]
    shown = _shown_listing(replace(wanted, limit=limit), total)
    return json_reply({**shown, "files": infos, "files_info": infos})


async def _everything(
    files: Filestore, listing: Listing, shown: Mapping[str, object]
) -> AsyncGenerator[bytes, None]:
    """All files of the listing, under both names: what has no bound is read twice, never kept."""
    yield orjson.dumps(shown)[:-1]
    for field in (b',"files":[', b'],"files_info":['):
        between = field
        async with aclosing(files.walk(listing)) as records:
            async for record in records:
                yield between + orjson.dumps(_shown(record))
                between = b","
        if between == field:
            yield field
    yield b"]}"


async def _authorise(request: web.Request, action: Action) -> Access:
    """Who asks for what, allowed by our own rules and by the hook; the body is unread."""
    access = await _permitted(request, action)
    await request.app[CALLERS].hook.authorise(access)
    return access


def _right(request: web.Request, access: Access) -> Guard:
    permit = partial(_permitted, request, access.action)
    return right_to(request, access, permit, rule=_permitted)


async def _permitted(request: web.Request, action: Action, name: str | None = None) -> Access:
    """Who asks for what, allowed by our own rules; ``name`` if it is not that of the address."""
    if "id" in request.match_info:
        return await _group_access(request, action, name)
    thing = await thing_key(request)
    return _access(request, thing, action, Scope(THINGS, thing.id), _name(request, name))


async def _group_access(request: web.Request, action: Action, name: str | None) -> Access:
    if action is Action.READ and has_scheme(request, "thing"):
        principal, group = await thing_key(request), path_id(request)
        if group not in await request.app[CALLERS].registry.groups_of_thing(UUID(principal.id)):
            raise NotFound()
    else:
        principal, group = await bearer(request), path_id(request)
        needed = GroupRole.VIEWER if action is Action.READ else GroupRole.EDITOR
        await _require_role(request, principal, group, needed)
    return _access(request, principal, action, Scope(GROUPS, str(group)), _name(request, name))


async def _require_role(
    request: web.Request, user: Principal, group: UUID, needed: GroupRole
) -> None:
    role = await request.app[CALLERS].registry.group_role(user, group)
    if not role.includes(needed):
        raise Forbidden()


def _name(request: web.Request, name: str | None) -> str:
    wanted = request.match_info.get("name") if name is None else name
    return "" if wanted is None else check_name(wanted)


def _access(
    request: web.Request, principal: Principal, action: Action, scope: Scope, name: str
) -> Access:
    authorization = request.headers.get("Authorization")
    return Access(principal, action, DIALECT, scope, name, authorization)


def _allowed_name(request: web.Request, name: str) -> str:
    allowed = request.app[ALLOWED_EXTENSIONS]
    if allowed and format_of(name) not in allowed:
        raise UnsupportedMedia(f"unsupported file extension: {', '.join(allowed)} are accepted")
    return check_name(name)


async def _replace(
    request: web.Request, access: Access, expected: UUID | None
) -> web.StreamResponse:
    right = _right(request, access)
    async with open_form(request) as form:
        upload = await form.read_file(access.scope)
        draft = _draft(form.fields, upload, access.scope, access.name)
        deposit = Deposit(access, draft, Mode.REPLACE, upload.claims, expected, guard=right)
        record = await request.app[FILES].deposit(deposit, upload.writer)
    return json_reply(_created(record))


async def _amend(request: web.Request, access: Access, expected: UUID | None) -> web.StreamResponse:
    body = await read_object(request)
    attributes: dict[str, Any] = {}
    if body.get("metadata") is not None:
        attributes["metadata"] = metadata_of(body)
    if body.get("time") is not None:
        attributes["time"] = _time(body["time"])
    with guarding(_right(request, access)):
        record = await request.app[FILES].amend(access, attributes, expected=expected)
    return json_reply(_created(record))


def _draft(fields: Mapping[str, str], upload: Upload, scope: Scope, name: str) -> Draft:
    """What the form says of the file. A field that is absent keeps a replaced file's value.

    So does an empty one: pages send every field that they show.
    """
    attributes: dict[str, Any] = {"class": class_of(name), "format": format_of(name)}
    attributes["time"] = _time(fields["time"]) if fields.get("time", "").strip() else time.time()
    if fields.get("metadata", "").strip():
        attributes["metadata"] = as_object(parse_json(fields["metadata"]), "metadata")
    return Draft(scope, name, upload.content_type, attributes)


def _time(value: object) -> float:
    """Unix seconds, from a form field or JSON. Raises ``Malformed``."""
    try:
        seconds = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        seconds = math.nan
    if isinstance(value, bool) or not math.isfinite(seconds):
        raise Malformed("time is not a number of seconds")
    return seconds


def _listing(request: web.Request, scope: Scope) -> Listing:
    paging = paging_of(request, orders=_ORDERS, default_direction="desc")
    attributes: dict[str, Any] = {
        key: value for key in ("class", "format") if (value := query_value(request, key))
    }
    if metadata := query_value(request, "metadata"):
        attributes["metadata"] = as_object(parse_json(metadata), "metadata")
    return Listing(
        scope,
        offset=paging.offset,
        limit=paging.limit or 0,
        order=_ORDERS[paging.order or _TIME],
        descending=paging.descending,
        name=query_value(request, "name"),
        attributes=attributes,
    )


def _created(record: FileRecord) -> Mapping[str, object]:
    owner = "thing_id" if record.scope.kind == THINGS else "group_id"
    return {
        "name": record.name,
        "content_type": record.content_type,
        "size": record.content.size,
        "sha256": record.content.digest.hex,
        owner: record.scope.owner,
    }


def _shown_listing(listing: Listing, total: int) -> dict[str, object]:
    shown: dict[str, object] = {
        "total": total,
        "offset": listing.offset,
        "limit": listing.limit,
        "order": _ORDER_NAMES[listing.order],
        "dir": "desc" if listing.descending else "asc",
    }
    if listing.name:
        shown["name"] = listing.name
    return shown


def _shown(record: FileRecord) -> Mapping[str, object]:
    attributes = record.attributes
    return {
        "name": record.name,
        "content_type": record.content_type,
        "size": record.content.size,
        "sha256": record.content.digest.hex,
        "class": attributes.get("class", ""),
        "format": attributes.get("format", ""),
        "time": attributes.get("time"),
        "metadata": attributes.get("metadata", {}),
    }


def _file_routes(collection: str, entity: str = "") -> tuple[Route, ...]:
    return (
        Route("POST", collection, upload, entity=entity),
        Route("GET", collection, list_files, entity=entity),
        Route("GET", f"{collection}/{{name}}", download, entity=entity),
        Route("HEAD", f"{collection}/{{name}}", download, entity=entity),
        Route("GET", f"{collection}{_PINNED}", download, entity=entity),
        Route("HEAD", f"{collection}{_PINNED}", download, entity=entity),
        Route("PUT", f"{collection}/{{name}}", update, entity=entity),
        Route("DELETE", f"{collection}/{{name}}", remove, entity=entity),
    )


ROUTES: Final = (
    *_file_routes("/files"),
    *_file_routes("/groups/{id}/files", GROUPS),
    Route("POST", _LINKED, link, reads=True, needs_room=False, entity=GROUPS),
    Route("GET", "/groupfiles", list_in_groups),
    Route("GET", "/groupfiles/{name}", download_from_groups),
    Route("HEAD", "/groupfiles/{name}", download_from_groups),
    Route("GET", f"/groupfiles{_PINNED}", download_from_groups),
    Route("HEAD", f"/groupfiles{_PINNED}", download_from_groups),
)
