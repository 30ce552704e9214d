"""``POST /private-files``: the form that the API gave away, or that was signed with a key of ours.

Knows S3's form upload: which fields there are, and what it answers. The order is the point:

1. the fields before the file are read, 20 KB at most; whatever is behind the file is ignored;
2. signature, date, policy, and whether this very upload is still awaited; the auth hook is asked;
3. the file is read, and cut off as soon as it is larger than the policy allows;
4. in one transaction the file that waited has its bytes, if it still waits for this upload.

Rule: a form completes one file once. Of two that come at the same time one is told that the other
was first, and of its bytes nothing is left.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web

from gateway.dialects.losant.context import LOSANT
from gateway.dialects.losant.records import DIALECT, AwaitedUpload
from gateway.dialects.losant.storage.context import (
    BUCKET,
    STORAGE,
    UPLOAD_PATH,
    Storage,
    author_of,
    now,
)
from gateway.dialects.losant.storage.rendering import XML, xml
from gateway.filestore import Deposit, Mode
from gateway.model.access import Access, Action
from gateway.model.errors import Conflict, Malformed, NotFound, PreconditionFailed, TooLarge
from gateway.model.file import Draft, FileRecord, Scope
from gateway.model.media import stored_content_type
from gateway.web.addresses import absolute_url
from gateway.web.authentication import CALLERS
from gateway.web.context import FILES
from gateway.web.errors import UnsupportedMedia
from gateway.web.signing.refusals import (
    FieldsTooLarge,
    InvalidArgument,
    MalformedForm,
    NotAllowed,
    Outrun,
    TooManyBytes,
)
from gateway.web.signing.sigv4 import FIELDS_BYTES, Grant, SizeRange, check_form
from gateway.web.uploads.context import UPLOADS, Upload
from gateway.web.uploads.form import Form, FormLimits, open_form

_MOST_PARTS: Final = 128
_REDIRECT: Final = "success_action_redirect"
_STATUS: Final = "success_action_status"
_NO_FILE: Final = "POST requires exactly one file upload per request."
_NOT_FORM: Final = "Bucket POST must be of the enclosure-type multipart/form-data"
_NOT_AWAITED: Final = "The form was used already, or its upload is not awaited any more."


async def receive(request: web.Request) -> web.StreamResponse:
    """The upload: 204, or what the form asks for."""
    storage = request.app[STORAGE]
    async with _opened(request) as form:
        grant = await _granted(storage, form)
        reply = _reply_to(storage, grant)
        awaited = await _awaited(request, grant.key)
        access = await _authorised(request, awaited)
        upload = await _received(form, awaited.record.scope, grant.sizes)
        record = await _completed(request, access, awaited, grant, upload)
    return reply.response(request, grant.key, etag_of(record))


def etag_of(record: FileRecord) -> str:
    """The MD5 that S3's clients expect if there is one, else the entity tag of every download."""
    blob = record.content
    return blob.digest.etag if blob.md5 is None else f'"{blob.md5}"'


@asynccontextmanager
async def _opened(request: web.Request) -> AsyncIterator[Form]:
    limits = FormLimits(
        request.app[UPLOADS].limits.file_bytes,
        fields_bytes=FIELDS_BYTES,
        field_bytes=FIELDS_BYTES,
        parts=_MOST_PARTS,
    )
    async with AsyncExitStack() as stack:
        with _form_worded():
            opened = open_form(request, limits, file_is_last=True, credential_in_fields=True)
            form = await stack.enter_async_context(opened)
        yield form


async def _granted(storage: Storage, form: Form) -> Grant:
    """What the fields allow; no byte of the file is read."""
    try:
        with _form_worded():
            fields = await form.read_fields()
    except TooLarge as exc:
        raise FieldsTooLarge() from exc
    grant = check_form(storage.authority, fields, now=now())
    if form.file_part is None:
        raise InvalidArgument(_NO_FILE)
    return grant


async def _awaited(request: web.Request, key: str) -> AwaitedUpload:
    """The upload that is awaited under the key. Raises ``NotAllowed``."""
    try:
        awaited = await request.app[LOSANT].files.find_awaited(key)
    except NotFound as exc:
        raise NotAllowed(_NOT_AWAITED) from exc
    if awaited.expires_at <= time.time():
        raise NotAllowed(_NOT_AWAITED)
    return awaited


async def _authorised(request: web.Request, awaited: AwaitedUpload) -> Access:
    record = awaited.record
    access = Access(author_of(record), Action.CREATE, DIALECT, record.scope, record.name)
    await request.app[CALLERS].hook.authorise(access)
    return access


async def _received(form: Form, scope: Scope, sizes: SizeRange) -> Upload:
    try:
        upload = await form.read_file(scope, limit_bytes=sizes.most)
    except TooLarge as exc:
        raise TooManyBytes() from exc
    sizes.check(upload.writer.size)
    return upload


async def _completed(
    request: web.Request, access: Access, awaited: AwaitedUpload, grant: Grant, upload: Upload
) -> FileRecord:
    record, declared = awaited.record, grant.fields.get("content-type")
    draft = Draft(
        record.scope,
        record.name,
        stored_content_type(declared) if declared else awaited.content_type,
        awaited.attributes(upload.writer.size),
        record.id,
    )
    deposit = Deposit(access, draft, Mode.FILL, upload.claims, awaited.expected, awaited.matching)
    try:
        return await request.app[FILES].deposit(deposit, upload.writer)
    except (PreconditionFailed, NotFound, Conflict) as exc:
        raise Outrun() from exc


@dataclass(frozen=True, slots=True)
class _Reply:
    """What the form wants to be answered with."""

    status: int
    redirect: str | None

    def response(self, request: web.Request, key: str, etag: str) -> web.Response:
        """The response to a file that is stored under ``key``."""
        location = absolute_url(request, f"{UPLOAD_PATH}/{quote(key)}")
        headers = {"ETag": etag, "Location": location}
        if self.redirect is not None:
            said = urlencode({"bucket": BUCKET, "key": key, "etag": etag})
            headers["Location"] = f"{self.redirect}{'&' if '?' in self.redirect else '?'}{said}"
        if self.status != 201:
            return web.Response(status=self.status, headers=headers)
        said_of = {"Location": location, "Bucket": BUCKET, "Key": key, "ETag": etag}
        headers["Content-Type"] = XML
        return web.Response(status=201, body=xml("PostResponse", said_of), headers=headers)


def _reply_to(storage: Storage, grant: Grant) -> _Reply:
    """Raises ``NotAllowed`` for a redirection to where the deployment sends nobody."""
    redirect = grant.fields.get(_REDIRECT)
    if redirect is not None:
        if not redirect.isascii() or not redirect.isprintable() or "#" in redirect:
            raise InvalidArgument(f"{_REDIRECT} is no address.")
        if not any(_is_below(redirect, base) for base in storage.redirects):
            raise NotAllowed(f"{_REDIRECT} is not allowed here.")
        return _Reply(303, redirect)
    wanted = grant.fields.get(_STATUS)
    return _Reply(int(wanted) if wanted in ("200", "201") else 204, None)


def _is_below(address: str, base: str) -> bool:
    return address == base or address.startswith(f"{base.rstrip('/')}/")


@contextlib.contextmanager
def _form_worded() -> Iterator[None]:
    """What is no form, in S3's words."""
    try:
        yield
    except UnsupportedMedia as exc:
        raise MalformedForm(_NOT_FORM) from exc
    except Malformed as exc:
        raise MalformedForm() from exc
