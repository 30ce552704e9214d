"""Multipart forms, read as they come: the fields before the file, the file, the fields behind it.

Where a header has the credential, the caller is authorised first, and the form is read in one go::

    access = await authorise(request)
    async with open_form(request) as form:
        upload = await form.read_file(access.scope)          # to the end of the form
        deposit = Deposit(access, draft_of(form.fields, upload), Mode.CREATE, upload.claims)
        record = await files.deposit(deposit, upload.writer)

Where a field has it, or the owner, or the policy::

    async with open_form(request, FormLimits(...), credential_in_fields=True) as form:
        fields = await form.read_fields()                    # up to the file, or to the end
        access = await authorise(fields)                     # raise, and nothing more is read
        upload = await form.read_file(access.scope, limit_bytes=..., tap=sniff)

Nothing is read, and no 100 Continue sent, before the first ``read_``. What was not deposited at the
end of the block leaves no trace, however it ended.

Knows forms (RFC 7578) and their limits. Does not know who is asking, what the fields mean, or where
the bytes end up.

Rule: no byte of a file is written before ``read_file``, which is called once the caller is
authorised; and it returns only after the form's end was seen.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from email.message import Message
from types import MappingProxyType
from typing import Final

from aiohttp import web

from gateway.model.claims import Claims
from gateway.model.digest import claims_of, parse_sha256_text
from gateway.model.disposition import parse_disposition
from gateway.model.errors import Malformed, TooLarge
from gateway.model.file import Scope
from gateway.model.media import guess_content_type, stored_content_type
from gateway.web import metrics
from gateway.web.errors import MissingField, UnsupportedMedia
from gateway.web.uploads.body import Body
from gateway.web.uploads.context import FILE_SETTING, UPLOADS, Upload, Uploads, too_large
from gateway.web.uploads.multipart import (
    Event,
    FramingLimits,
    MultipartParser,
    PartBegins,
    PartEnds,
)
from gateway.web.uploads.reserving import reserved

TAP_BYTES: Final = 1445
"""How much of a file its tap is shown: what WHATWG's MIME sniffing looks at, at most."""

SHA256_FIELD: Final = "sha256"
_PLAIN_CODINGS: Final = frozenset({"", "7bit", "8bit", "binary"})
_BOUNDARY_CHARACTERS: Final = 70  # RFC 2046 5.1.1
_PLAIN_FORM: Final = re.compile(r"multipart/form-data; ?boundary=([0-9A-Za-z_-]{1,70})")
_ANY_BYTES: Final = "application/octet-stream"
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,18}")

Tap = Callable[[bytes], object]
"""Is shown the first bytes of a file, once: ``TAP_BYTES`` of them, or all there are.

They are the same however the file comes. What it raises ends the upload.
"""


@dataclass(frozen=True, slots=True)
class FormLimits:
    """How much a route's form may hold; what is more is ``TooLarge``. Sizes in bytes.

    ``fields_bytes`` are those of all names and values together, ``field_bytes`` those of one
    value. ``parts`` counts the file, ``outside_bytes`` what is in no part. ``setting`` is the
    one that says ``file_bytes``.
    """

    file_bytes: int
    fields_bytes: int = 2 * 1024 * 1024
    field_bytes: int = 64 * 1024
    parts: int = 32
    part_headers: int = 16
    part_header_bytes: int = 8 * 1024
    outside_bytes: int = 8 * 1024
    setting: str | None = FILE_SETTING

    @property
    def sentence(self) -> str:
        """What is said of a file that is too large."""
        return too_large("the file", self.file_bytes, self.setting)

    @property
    def body_bytes(self) -> int:
        """Room for the file and everything a form may have around it."""
        return self.file_bytes + self.fields_bytes + self.parts * self.part_header_bytes

    @property
    def framing(self) -> FramingLimits:
        """Those that are the parser's."""
        return FramingLimits(
            self.parts, self.part_headers, self.part_header_bytes, self.outside_bytes
        )


@asynccontextmanager
async def open_form(
    request: web.Request,
    limits: FormLimits | None = None,
    *,
    file_field: str = "file",
    file_is_last: bool = False,
    credential_in_fields: bool = False,
) -> AsyncIterator[Form]:
    """The request's form, to be read within the block.

    ``limits`` are the deployment's unless the route has its own. With ``file_is_last``, as in an
    S3 POST, whatever is behind the file is ignored. With ``credential_in_fields`` the upload
    takes its place among those at once, and reads ahead, only when ``read_file`` is called.

    Raises ``UnsupportedMedia`` if the body is no form, ``Malformed``, ``TooLarge`` and ``TooMany``.
    """
    uploads = request.app[UPLOADS]
    limits = limits or FormLimits(uploads.limits.file_bytes)
    async with AsyncExitStack() as stack:
        if not credential_in_fields:
            stack.enter_context(reserved(request, uploads))
        form = Form(request, uploads, limits, stack, file_field)
        form.reserves_late, form.file_is_last = credential_in_fields, file_is_last
        yield form


class FilePart:
    """What a part's headers say. Raises ``Malformed`` or ``UnsupportedMedia`` if they may not."""

    def __init__(self, begins: PartBegins) -> None:
        self.headers = begins.headers
        disposition = self.one("content-disposition")
        kind, parameters = parse_disposition(disposition) if disposition else ("", {})
        if kind != "form-data":
            raise Malformed("malformed multipart form")
        self.name = parameters.get("name", "")
        if not self.name:
            raise Malformed("a part of the form has no name")
        self.filename = parameters.get("filename", "")
        if self.one("content-transfer-encoding").lower() not in _PLAIN_CODINGS:
            raise UnsupportedMedia("part encodings are not accepted")

    @property
    def content_type(self) -> str:
        """What the part says it is; what its name says if the part says nothing in particular."""
        declared = self.one("content-type")
        if declared in ("", _ANY_BYTES):
            return guess_content_type(self.filename)
        return stored_content_type(declared)

    @property
    def length(self) -> int | None:
        """How many bytes the part says it has, which few do."""
        text = self.one("content-length")
        if text and not _LENGTH.fullmatch(text):
            raise Malformed("malformed multipart form")
        return int(text) if text else None

    def one(self, name: str) -> str:
        """A header's value, or ``""``. Raises ``Malformed`` if it is there twice."""
        values = [value for given, value in self.headers if given == name]
        if len(values) > 1:
            raise Malformed("a part header is given more than once")
        return values[0] if values else ""


class Form:
    """A form that is being read. Made by ``open_form``."""

    def __init__(
        self,
        request: web.Request,
        uploads: Uploads,
        limits: FormLimits,
        stack: AsyncExitStack,
        file_field: str,
    ) -> None:
        self.reserves_late = False
        self.file_is_last = False
        self._parser = MultipartParser(_boundary(request), limits.framing)
        self._body = Body(
            request, uploads.limits, limit_bytes=limits.body_bytes, sentence=limits.sentence
        )
        self._claims = Claims(*claims_of(request.headers.items()))
        self._request = request
        self._uploads = uploads
        self._limits = limits
        self._stack = stack
        self._file_field = file_field
        self._fields: dict[str, str] = {}
        self._fields_bytes = 0
        self._file: FilePart | None = None
        self._file_read = False

    @property
    def fields(self) -> Mapping[str, str]:
        """The text fields that were read so far, by name."""
        return MappingProxyType(self._fields)

    @property
    def file_part(self) -> FilePart | None:
        """The headers of the file, once ``read_fields`` came to it; its bytes are not read."""
        return self._file

    async def read_fields(self) -> Mapping[str, str]:
        """The fields before the file, or all of them if there is none.

        Raises ``Malformed``, ``TooLarge``, ``UnsupportedMedia``, and what a body can raise.
        """
        if self._file is None:
            with self._body.paced():
                await self._read_to_file()
        return self.fields

    async def read_file(
        self, scope: Scope, *, limit_bytes: int | None = None, tap: Tap | None = None
    ) -> Upload:
        """The file, staged in ``scope``; the form has been read to its end.

        ``limit_bytes`` may be less than the form's own limit. Raises as ``read_fields``,
        ``MissingField`` if there is no file, what ``tap`` and the blob writer raise, and
        ``TooMany``. Digests are checked when the file is deposited.
        """
        if self.reserves_late:
            self._stack.enter_context(reserved(self._request, self._uploads))
        with self._body.paced():
            if self._file is None:
                await self._read_to_file()
            part = self._file
            if part is None:
                raise MissingField("part", self._file_field)
            assert not self._file_read, "a file is read once"
            self._file_read = True
            upload = await self._read_file(part, scope, limit_bytes, tap)
            await self._read_rest()
        return upload

    async def _read_to_file(self) -> None:
        while (event := await self._next_event()) is not None:
            assert isinstance(event, PartBegins), "parts are read whole"
            part = FilePart(event)
            if part.name == self._file_field:
                self._take_file_part(part)
                return
            await self._read_field(part)

    def _take_file_part(self, part: FilePart) -> None:
        if self._file is not None:
            raise Malformed("more than one file part")
        self._claims.add(*claims_of(part.headers))
        self._file = part

    async def _read_field(self, part: FilePart) -> None:
        left = self._limits.fields_bytes - self._fields_bytes - len(part.name.encode())
        text, counter = bytearray(), self._field_counter(part, left)
        async for piece in self._content(counter):
            text += piece
        if part.name in self._fields:
            raise Malformed("a form field is given more than once")
        try:
            self._fields[part.name] = text.decode()
        except UnicodeDecodeError as exc:
            if part.filename and self._file is None:  # the file, under another name
                raise MissingField("part", self._file_field) from exc
            raise Malformed("a form field is not UTF-8") from exc
        self._fields_bytes = self._limits.fields_bytes - left + len(text)
        if part.name == SHA256_FIELD and text.strip():  # empty: a page that shows it, unfilled
            self._claims.add(parse_sha256_text(self._fields[part.name]))

    def _field_counter(self, part: FilePart, left: int) -> _Counter:
        most, of_all = self._limits.field_bytes, self._limits.fields_bytes
        if left < most:
            return _Counter(part, left, f"the form's fields are larger than {of_all} bytes")
        return _Counter(part, most, too_large("a form field", most))

    def _file_counter(self, part: FilePart, limit_bytes: int | None) -> _Counter:
        most = self._limits.file_bytes
        if limit_bytes is None or limit_bytes >= most:
            return _Counter(part, most, self._limits.sentence)
        return _Counter(part, limit_bytes, too_large("the file", limit_bytes))

    async def _read_file(
        self, part: FilePart, scope: Scope, limit_bytes: int | None, tap: Tap | None
    ) -> Upload:
        counter = self._file_counter(part, limit_bytes)
        content_type, head = part.content_type, _Head(tap)
        writer = await self._stack.enter_async_context(
            self._uploads.stage(scope, self._claims, self._body.declared)
        )
        async for piece in self._content(counter):
            head.show(piece)
            metrics.received_bytes.inc(len(piece))
            await writer.write(piece)
        head.end()
        return Upload(part.filename, content_type, self._claims, writer)

    async def _read_rest(self) -> None:
        if self.file_is_last:
            while chunk := await self._body.next_chunk():
                self._claims.absorb(chunk)
            return
        await self._read_to_file()

    async def _content(self, counter: _Counter) -> AsyncIterator[bytes]:
        while not isinstance(event := await self._next_event(), PartEnds):
            assert isinstance(event, bytes | bytearray), "a part has content, and an end"
            counter.count(len(event))
            yield event
        counter.end()

    async def _next_event(self) -> Event | None:
        """What comes next in the form; ``None`` at its end. Raises ``Malformed`` if it is cut."""
        while (event := self._parser.next_event()) is None:
            chunk = await self._body.next_chunk()
            if not chunk:
                self._parser.close()
                return None
            self._claims.absorb(chunk)
            self._parser.receive(chunk)
        return event


class _Counter:
    """Holds a part's content against its limit, and against the length that it declares."""

    def __init__(self, part: FilePart, limit: int, sentence: str) -> None:
        self._declared = part.length
        self._limit = limit
        self._sentence = sentence
        self._count = 0
        self._check_limit(0 if self._declared is None else self._declared)

    def count(self, more: int) -> None:
        """So many more bytes came. Raises ``TooLarge`` or ``Malformed``."""
        self._count += more
        if self._declared is not None and self._count > self._declared:
            raise Malformed("malformed multipart form")
        self._check_limit(self._count)

    def end(self) -> None:
        """No more will come. Raises ``Malformed`` if they are not as many as declared."""
        if self._declared not in {None, self._count}:
            raise Malformed("malformed multipart form")

    def _check_limit(self, count: int) -> None:
        if count > self._limit:
            raise TooLarge(self._sentence)


class _Head:
    """Collects the first bytes of a file for its tap."""

    def __init__(self, tap: Tap | None) -> None:
        self._tap = tap
        self._seen = bytearray()

    def show(self, piece: bytes) -> None:
        """The next bytes; as soon as there are enough, the tap has them."""
        if self._tap is not None:
            self._seen += piece[: TAP_BYTES - len(self._seen)]
            if len(self._seen) == TAP_BYTES:
                self.end()

    def end(self) -> None:
        """These were all, if the tap has not had enough before."""
        tap, self._tap = self._tap, None
        if tap is not None:
            tap(bytes(self._seen))


def _boundary(request: web.Request) -> str:
    declared = request.headers.get("Content-Type", "")
    plain = _PLAIN_FORM.fullmatch(declared)
    return plain[1] if plain is not None else _parsed_boundary(declared)


def _parsed_boundary(declared: str) -> str:
    header = Message()
    header["Content-Type"] = declared
    if header.get_content_type() != "multipart/form-data":
        raise UnsupportedMedia("unsupported content type: multipart/form-data is accepted")
    boundary = str(header.get_param("boundary") or "")
    if not 1 <= len(boundary) <= _BOUNDARY_CHARACTERS or not boundary.isascii():
        raise Malformed("the form has no valid boundary")
    return boundary
