"""``POST .../privateFiles/<id>/upload``: the bytes in one step, by a form with a credential.

Rule: it completes the file as a presigned form would, and ends whatever form was given for it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from aiohttp import web

from gateway.catalogue.port import NO_BLOB
from gateway.dialects.losant.callers import permitted, permitted_file
from gateway.dialects.losant.context import LOSANT
from gateway.dialects.losant.files import file_worded
from gateway.dialects.losant.ids import path_id
from gateway.dialects.losant.presigned import link_of
from gateway.dialects.losant.query import link_seconds
from gateway.dialects.losant.records import COMPLETED, awaited_upload, is_directory
from gateway.dialects.losant.shown import shown_file
from gateway.filestore import Deposit, Mode
from gateway.model.access import Access, Action, GroupRole
from gateway.model.errors import Conflict, Malformed, PreconditionFailed
from gateway.model.file import Draft, FileRecord
from gateway.web.authentication import right_to
from gateway.web.context import FILES
from gateway.web.dialect import Route
from gateway.web.responses import json_reply
from gateway.web.uploads.context import Upload
from gateway.web.uploads.form import open_form

PART: Final = "privateFile"
_ENDPOINT: Final = "privateFile.upload"


async def upload(request: web.Request) -> web.StreamResponse:
    """New bytes for a file; 200 and the file."""
    _, access = await permitted_file(request, _ENDPOINT, GroupRole.EDITOR, Action.CREATE)
    seconds = link_seconds(request)
    record = await request.app[LOSANT].files.find(access)
    if is_directory(record):
        raise Malformed("a directory has no content")
    right = right_to(request, access, partial(_permitted, request))
    async with open_form(request, file_field=PART) as form:
        received = await form.read_file(record.scope)
        deposit = replace(_deposit(access, record, received), guard=right)
        try:
            with file_worded():
                record = await request.app[FILES].deposit(deposit, received.writer)
        except PreconditionFailed as exc:
            raise Conflict("the file has changed meanwhile") from exc
    return json_reply(shown_file(record, link_of(request, record, seconds)))


async def _permitted(request: web.Request) -> Access:
    """The same access, by our own rules. Raises as at first."""
    found = await permitted(request, _ENDPOINT, GroupRole.EDITOR)
    return found.access(Action.CREATE, path_id(request, "file"))


def _deposit(access: Access, record: FileRecord, upload: Upload) -> Deposit:
    """It replaces the bytes that there were when it began, and no others."""
    awaited, generation = awaited_upload(record), record.attributes["generation"]
    attributes = {
        "status": COMPLETED,
        "size": upload.writer.size,
        "dimensions": None if awaited is None else awaited.declared.dimensions,
        "upload": None,
        "expires": None,
        "generation": generation + 1,
    }
    content_type = record.content_type if awaited is None else awaited.content_type
    draft = Draft(record.scope, record.name, content_type, attributes, record.id)
    expected = NO_BLOB if record.blob is None else record.blob.id
    matching = {"generation": generation}
    return Deposit(access, draft, Mode.FILL, upload.claims, expected, matching)


ROUTES: Final = (Route("POST", "/applications/{application}/privateFiles/{file}/upload", upload),)
