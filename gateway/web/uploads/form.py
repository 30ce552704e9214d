"""Multipart forms: small fields into memory, the one file part into a blob writer.

Knows multipart framing (RFC 7578) and its limits. Does not know who is asking, what the
fields mean, or where the bytes end up.

Rule: whatever happens in here, a file part that was not deposited leaves no trace.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Final, Protocol

from aiohttp import web

from gateway.blobs.port import BlobWriter
from gateway.model.digest import Claim, claims_of, parse_sha256_text
from gateway.model.disposition import parse_disposition
from gateway.model.errors import Malformed, TooLarge
from gateway.model.media import check_content_type, guess_content_type
from gateway.web import metrics
from gateway.web.context import Limits
from gateway.web.errors import MissingField, UnsupportedMedia
from gateway.web.uploads.body import chunks, declared_length
from gateway.web.uploads.multipart import FramingLimits, MultipartParser, PartBegins, PartEnds

_PLAIN_CODINGS: Final = frozenset({"", "7bit", "8bit", "binary"})
_BOUNDARY_CHARACTERS: Final = 70  # RFC 2046 5.1.1
_ANY_BYTES: Final = "application/octet-stream"
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,18}")


class Stage(Protocol):
    """Opens a blob writer once the file part's claims are known."""

    def __call__(
        self, *, algorithms: Collection[str], expected_bytes: int | None
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin the upload."""


class Hasher(Protocol):
    """What ``hashlib`` gives."""

    def update(self, data: bytes, /) -> None:
        """Take in ``data``."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in: what its sender says of it, and where its bytes went."""

    filename: str
    content_type: str
    claims: tuple[Claim, ...]
    writer: BlobWriter


@dataclass(slots=True)
class Form:
    """A multipart form: text fields by name, and the file part if there was one."""

    fields: dict[str, str] = field(default_factory=dict)
    upload: Upload | None = None

    @property
    def file(self) -> Upload:
        """The file part. Raises ``MissingField``."""
        if self.upload is None:
            raise MissingField("part", "file")
        return self.upload

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What the part's headers and the field ``sha256`` promise."""
        text = self.fields.get("sha256")
        return self.file.claims + (() if text is None else (parse_sha256_text(text),))


@asynccontextmanager
async def receive_form_parts(
    request: web.Request,
    limits: Limits,
    stage: Stage,
    file_field: str,
    hashers: Sequence[Hasher] = (),
) -> AsyncIterator[Form]:
    """The request's form, received whole; its file part lives until the end of the block.

    ``hashers`` see every byte of the body. Raises ``UnsupportedMedia`` if the body is no
    form, ``Malformed`` for broken framing or two file parts, ``TooLarge`` beyond a limit,
    and what ``chunks`` and the writer raise.
    """
    boundary = _boundary(request)
    async with AsyncExitStack() as stack:
        receiver = _FormReceiver(limits, boundary, stage, file_field, stack)
        receiver.expected_bytes = declared_length(request, _body_limit(limits))
        async for chunk in chunks(request, limits, limit_bytes=_body_limit(limits)):
            for hasher in hashers:
                hasher.update(chunk)
            await receiver.feed(chunk)
        yield receiver.finish()


class _FormReceiver:
    """Sorts the parser's events into fields and the file."""

    def __init__(
        self, limits: Limits, boundary: str, stage: Stage, file_field: str, stack: AsyncExitStack
    ) -> None:
        self.form = Form()
        self.expected_bytes: int | None = None
        self._limits = limits
        self._stage = stage
        self._file_field = file_field
        self._stack = stack
        self._name = ""
        self._declared: int | None = None
        self._received = 0
        self._text = bytearray()
        self._sink: BlobWriter | None = None
        self._parser = MultipartParser(boundary, _framing(limits))

    async def feed(self, chunk: bytes) -> None:
        """Take in one chunk of the body."""
        self._parser.receive(chunk)
        while (event := self._parser.next_event()) is not None:
            if isinstance(event, PartBegins):
                await self._begin(_PartHead(event))
            elif isinstance(event, PartEnds):
                self._end()
            else:
                await self._take(event)

    def finish(self) -> Form:
        """The form, if it was complete."""
        self._parser.close()
        return self.form

    async def _begin(self, head: _PartHead) -> None:
        self._name, self._received = head.name, 0
        self._declared = head.length
        if self._declared is not None and self._declared > self._limits.file_bytes:
            raise TooLarge("a part of the form is too large")
        if head.name == self._file_field:
            await self._begin_file(head)
        else:
            self._text.clear()

    async def _begin_file(self, head: _PartHead) -> None:
        if self.form.upload is not None:
            raise Malformed("more than one file part")
        claims = claims_of(head.headers)
        self._sink = await self._stack.enter_async_context(
            self._stage(
                algorithms={claim.algorithm for claim in claims},
                expected_bytes=self.expected_bytes,
            )
        )
        self.form.upload = Upload(head.filename, head.content_type, claims, self._sink)

    async def _take(self, content: bytes) -> None:
        self._received += len(content)
        if self._declared is not None and self._received > self._declared:
            raise Malformed("malformed multipart form")
        if self._sink is not None:
            if self._received > self._limits.file_bytes:
                raise TooLarge("a part of the form is too large")
            metrics.received_bytes.inc(len(content))
            await self._sink.write(content)
        elif self._received > self._limits.field_bytes:
            raise TooLarge("a form field is too large")
        else:
            self._text += content

    def _end(self) -> None:
        if self._declared not in {None, self._received}:
            raise Malformed("malformed multipart form")
        if self._sink is not None:
            self._sink = None
            return
        if self._name in self.form.fields:
            raise Malformed("a form field is given more than once")
        try:
            self.form.fields[self._name] = self._text.decode()
        except UnicodeDecodeError as exc:
            raise Malformed("a form field is not UTF-8") from exc


class _PartHead:
    """What a part's headers say. Raises ``Malformed`` or ``UnsupportedMedia`` if they cannot."""

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
        return check_content_type(declared)

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


def _boundary(request: web.Request) -> str:
    header = Message()
    header["Content-Type"] = request.headers.get("Content-Type", "")
    if header.get_content_type() != "multipart/form-data":
        raise UnsupportedMedia()
    boundary = str(header.get_param("boundary") or "")
    if not 1 <= len(boundary) <= _BOUNDARY_CHARACTERS or not boundary.isascii():
        raise Malformed("the form has no valid boundary")
    return boundary


def _body_limit(limits: Limits) -> int:
    """Room for the file and everything a form may have around it."""
    around = limits.fields * (limits.field_bytes + limits.part_header_bytes)
    return limits.file_bytes + around


def _framing(limits: Limits) -> FramingLimits:
    return FramingLimits(
        parts=limits.fields,
        part_headers=limits.part_headers,
        part_header_bytes=limits.part_header_bytes,
        outside_bytes=limits.preamble_bytes,
    )
