"""The user files: create, list, read, update, describe, share, remove.

Knows the API's forms and JSON; ``lookup`` knows which file is meant and who may do what.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

import orjson
from aiohttp import web

from gateway.dialects.gravwell.credentials import Caller, caller_of, credential_of
from gateway.dialects.gravwell.lookup import (
    address_of,
    check_owned,
    check_writable,
    find,
    guid_mark,
    is_own,
    parse_address,
)
from gateway.dialects.gravwell.records import (
    SHARING,
    Meta,
    changed_by,
    groups_of,
    meta_of,
    new_attributes,
    shown,
    simple_meta,
)
from gateway.dialects.gravwell.settings import MAX_FILE_BYTES
from gateway.dialects.gravwell.sniffing import Sniffer
from gateway.filestore import Deposit, Filestore, Mode
from gateway.identity.users import scope_of
from gateway.model.access import Access, Action
from gateway.model.change import RightsChanged
from gateway.model.errors import Forbidden, Malformed, NotFound
from gateway.model.file import Draft, FileRecord, Scope
from gateway.model.json import parse_json
from gateway.web.authentication import CALLERS, right_to
from gateway.web.context import FILES
from gateway.web.dialect import Route
from gateway.web.downloads.asked import ReadRules
from gateway.web.downloads.beside import serve_named
from gateway.web.downloads.conditions import expected_blob
from gateway.web.downloads.context import DOWNLOADS
from gateway.web.proxies import single_header
from gateway.web.responses import json_reply, stream_json
from gateway.web.uploads.body import Bounds, read_json
from gateway.web.uploads.form import Form, FormLimits, open_form

DIALECT: Final = "gravwell"
_META_FIELD: Final = "meta"
_META_BYTES: Final = 64 * 1024
_SETTING: Final = "GATEWAY_GRAVWELL_MAX_FILE_BYTES"
_RECORD: Final = Bounds(2 * _META_BYTES, 60.0)
"""Of a record as it was shown: its description, and what we say of it."""


async def create(request: web.Request) -> web.StreamResponse:
    """``POST /api/files``: a new file, described by fields or by ``meta``; 200 and its record.

    The fields may come before the file or behind it, so who is to own it is known at the end.
    """
    caller, thing, sniffer = await caller_of(request), uuid4(), Sniffer()
    access = await _authorised(request, caller, Action.CREATE, caller.scope, str(thing))
    right_to(request, access, partial(_still_creates, request, access, Meta()))
    async with open_form(request, _limits(request)) as form:
        upload = await form.read_file(caller.scope, tap=sniffer)
        meta = _described(form)
        scope = await _permitted_owner(request, caller, meta)
        attributes = new_attributes(meta, meta.guid or uuid4(), upload.filename)
        draft = Draft(scope, str(thing), sniffer.content_type, attributes, thing)
        given = replace(access, scope=scope)
        right = right_to(request, given, partial(_still_creates, request, given, meta))
        deposit = Deposit(given, draft, Mode.CREATE, upload.claims, guard=right)
        record = await _files(request).deposit(deposit, upload.writer)
    _tell(request, record)
    return await _reply(request, record)


async def update(request: web.Request) -> web.StreamResponse:
    """``POST`` and ``PUT /api/files/{id}``: other bytes, and nothing else."""
    caller, sniffer = await caller_of(request), Sniffer()
    record = await find(_files(request), caller, address_of(request))
    check_writable(record, caller)
    access = await _authorised(request, caller, Action.CREATE, record.scope, record.name)
    expected = expected_blob(request, record)
    right = right_to(request, access, partial(_still_writes, request, access, record.id))
    async with open_form(request, _limits(request)) as form:
        upload = await form.read_file(record.scope, tap=sniffer)
        draft = Draft(record.scope, record.name, sniffer.content_type, id=record.id)
        deposit = Deposit(access, draft, Mode.FILL, upload.claims, expected, guard=right)
        record = await _files(request).deposit(deposit, upload.writer)
    _tell(request, record)
    return await _reply(request, record)


async def download(request: web.Request) -> web.StreamResponse:
    """``GET`` and ``HEAD /api/files/{id}``: the bytes."""
    return await serve_named(request, request.match_info["id"], _resolve, READS)


async def details(request: web.Request) -> web.StreamResponse:
    """``GET /api/files/{id}/details``: the record."""
    caller = await caller_of(request)
    record = await find(_files(request), caller, address_of(request))
    await _authorised(request, caller, Action.READ, record.scope, record.name)
    return await _reply(request, record)


async def patch(request: web.Request) -> web.StreamResponse:
    """``PATCH /api/files/{id}``: what the file is called, and with whom it is shared.

    The body is the record as it was shown, changed; what is not in it stays as it is.
    """
    caller, files = await caller_of(request), _files(request)
    record = await find(files, caller, address_of(request))
    check_writable(record, caller)
    access = await _authorised(request, caller, Action.CREATE, record.scope, record.name)
    meta = meta_of(await read_json(request, _RECORD))
    scope = await _given_to(request, caller, meta, await _uid(request, record))
    changed = changed_by(meta, record)
    await _check_sharing(request, caller, record, changed)
    if scope is None:
        record = await files.amend(access, changed, file_id=record.id)
    else:
        record = await files.transfer(access, record, scope, attributes=changed)
    _tell(request, record)
    return await _reply(request, record)


async def remove(request: web.Request) -> web.StreamResponse:
    """``DELETE /api/files/{id}``: the file is gone, 200."""
    caller, files = await caller_of(request), _files(request)
    record = await find(files, caller, address_of(request))
    check_owned(record, caller)
    access = await _authorised(request, caller, Action.DELETE, record.scope, record.name)
    await files.remove(access, expected=expected_blob(request, record), file_id=record.id)
    _tell(request, record)
    return web.Response()


async def list_files(request: web.Request) -> web.StreamResponse:
    """``GET /api/files``: what the caller may see; an administrator by ``?admin=true`` sees all."""
    caller, files = await caller_of(request), _files(request)
    await _authorised(request, caller, Action.READ, caller.scope, "")
    if caller.as_admin:
        records = files.stream("gravwell/list_all")
    else:
        groups = sorted(caller.groups)
        records = files.stream("gravwell/list_visible", caller.scope.owner, groups)
    return await stream_json(request, _shown_pieces(records), request.app[DOWNLOADS].stalls)


async def _resolve(request: web.Request, address: str) -> tuple[Access, FileRecord]:
    caller, wanted = await caller_of(request), parse_address(address)
    record = await find(_files(request), caller, wanted)
    access = await _authorised(request, caller, Action.READ, record.scope, record.name)
    return replace(access, also=(guid_mark(wanted),)), record


def _tell(request: web.Request, record: FileRecord) -> None:
    """What its GUID means may have changed: forget here at once what was read by it.

    The database tells everybody else (``gravwell_announce``).
    """
    whose = frozenset((record.scope.owner, guid_mark(record.attributes["guid"])))
    request.app[CALLERS].listeners.on_change(RightsChanged(whose))


def _shown_name(record: FileRecord) -> str:
    return str(record.attributes["name"]) or record.name


def _read_address(request: web.Request) -> Hashable:
    """A GUID may mean another file by the time that a client resumes."""
    return request.match_info["id"].lower(), request.query.get("admin")


async def _authorised(
    request: web.Request, caller: Caller, action: Action, scope: Scope, name: str
) -> Access:
    """The access, which our own rules allow, allowed by the hook; the body is unread."""
    authorization = single_header(request, "Authorization")
    access = Access(caller.principal, action, DIALECT, scope, name, authorization)
    await request.app[CALLERS].hook.authorise(access)
    return access


async def _still_creates(request: web.Request, access: Access, meta: Meta) -> Access:
    caller = await caller_of(request)
    scope = await _permitted_owner(request, caller, meta)
    return replace(access, principal=caller.principal, scope=scope)


async def _still_writes(request: web.Request, access: Access, file_id: UUID) -> Access:
    caller, files = await caller_of(request), _files(request)
    await files.select("gravwell/hold", file_id)
    record = await files.find_by_id(file_id)
    check_writable(record, caller)
    return replace(access, principal=caller.principal, scope=record.scope)


async def _permitted_owner(request: web.Request, caller: Caller, meta: Meta) -> Scope:
    """Whose the new file is to be. Raises ``Forbidden`` for what only administrators may."""
    principal = caller.principal
    if meta.opens_to_all and not principal.is_admin:
        raise Forbidden()
    await _check_groups(request, caller, meta.groups)
    if meta.uid is None or meta.uid == principal.number:
        return caller.scope
    if not principal.is_admin:
        raise Forbidden()
    return await _scope_of_number(request, meta.uid)


async def _given_to(request: web.Request, caller: Caller, meta: Meta, uid: int) -> Scope | None:
    """Who is to own the file from now on, if the record says another than ``uid``."""
    if meta.uid is None or meta.uid == uid:
        return None
    if not caller.as_admin:
        raise Forbidden()
    return await _scope_of_number(request, meta.uid)


async def _check_sharing(
    request: web.Request, caller: Caller, record: FileRecord, changed: Mapping[str, Any]
) -> None:
    """Raise ``Forbidden`` for a sharing that the caller may not make; what is so may stay so."""
    if not changed.keys().isdisjoint(SHARING) and not is_own(record, caller):
        raise Forbidden()
    if any(changed.get(key) for key in ("global", "write_global")):
        _check_admin(caller)
    groups = {*changed.get("gids", ()), *changed.get("write_gids", ())}
    await _check_groups(request, caller, frozenset(groups - groups_of(record)))


def _check_admin(caller: Caller) -> None:
    if not caller.principal.is_admin:
        raise Forbidden()


async def _check_groups(request: web.Request, caller: Caller, groups: frozenset[int]) -> None:
    registry = request.app[CALLERS].registry
    try:
        await registry.groups.check_numbers(caller.principal, groups)
    except NotFound as exc:
        raise Malformed("GIDs has a group that you are not in, or that there is not") from exc


async def _scope_of_number(request: web.Request, uid: int) -> Scope:
    try:
        return scope_of((await request.app[CALLERS].registry.users.find_by_number(uid)).id)
    except NotFound as exc:
        raise Malformed("UID is of no user") from exc


def _described(form: Form) -> Meta:
    """What the form says of its file: in ``meta``, or else in fields of its own."""
    text = form.fields.get(_META_FIELD)
    return simple_meta(form.fields) if text is None else meta_of(parse_json(text))


def _limits(request: web.Request) -> FormLimits:
    return FormLimits(request.app[MAX_FILE_BYTES], field_bytes=_META_BYTES, setting=_SETTING)


def _files(request: web.Request) -> Filestore:
    return request.app[FILES]


async def _uid(request: web.Request, record: FileRecord) -> int:
    owner = UUID(record.scope.owner)
    return (await request.app[CALLERS].registry.users.numbers_of([owner])).get(owner, 0)


async def _reply(request: web.Request, record: FileRecord) -> web.Response:
    return json_reply(shown(record, await _uid(request, record)))


async def _shown_pieces(records: AsyncGenerator[FileRecord, None]) -> AsyncGenerator[bytes, None]:
    """A JSON array of files, each of which has its owner's number among its attributes."""
    between = b"["
    async with aclosing(records):
        async for record in records:
            yield between + orjson.dumps(shown(record, record.attributes["uid"] or 0))
            between = b","
    yield b"[]" if between == b"[" else b"]"


READS: Final = ReadRules(
    credential_of=credential_of, address_of=_read_address, shown_name=_shown_name
)
ROUTES: Final = (
    Route("POST", "/api/files", create),
    Route("GET", "/api/files", list_files),
    Route("GET", "/api/files/{id}", download),
    Route("HEAD", "/api/files/{id}", download),
    Route("POST", "/api/files/{id}", update),
    Route("PUT", "/api/files/{id}", update),
    Route("PATCH", "/api/files/{id}", patch),
    Route("DELETE", "/api/files/{id}", remove),
    Route("GET", "/api/files/{id}/details", details),
)
