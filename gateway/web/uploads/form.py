"""Multipart forms: small fields into memory, the one file part into a blob writer.

Knows multipart framing (RFC 7578) and its limits. Does not know who is asking, what the
fields mean, or where the bytes end up.

Rule: whatever happens in here, a file part that was not deposited leaves no trace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from email.message import Message
from typing import Final, Protocol

from aiohttp import web
from multipart import (
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
)

from gateway.blobs.port import BlobWriter
from gateway.model.digest import Claim, claims_of, parse_sha256_text
from gateway.model.disposition import parse_disposition
from gateway.model.errors import (
    Malformed,
    MissingField,
    TooLarge,
    UnsupportedMedia,
)
from gateway.model.media import check_content_type, guess_content_type
from gateway.web import metrics
from gateway.web.context import Limits
from gateway.web.uploads.body import chunks, declared_length

_PLAIN_CODINGS: Final = frozenset({"", "7bit", "8bit", "binary"})
_BOUNDARY_CHARACTERS: Final = 70  # RFC 2046 5.1.1
_ANY_BYTES: Final = "application/octet-stream"


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
    *,
    shortcut: bool = True,
) -> AsyncIterator[Form]:
    """The request's form, received whole; its file part lives until the end of the block.

    ``hashers`` see every byte of the body; without ``shortcut`` so does the parser. Raises
    ``UnsupportedMedia`` if the body is no form, ``Malformed`` for broken framing or two file
    parts, ``TooLarge`` beyond a limit, and what ``chunks`` and the writer raise.
    """
    boundary = _boundary(request)
    async with AsyncExitStack() as stack:
        receiver = _FormReceiver(limits, boundary, stage, file_field, stack)
        receiver.shortcut = shortcut
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
        self.shortcut = True
        self._limits = limits
        self._stage = stage
        self._file_field = file_field
        self._stack = stack
        self._outside = 0
        self._segment: MultipartSegment | None = None
        self._text = bytearray()
        self._sink: BlobWriter | None = None
        self._seam = _Seam(boundary)
        self._is_counted = False  # by the parser, because the file part declares its length
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=limits.part_header_bytes,
            max_header_count=limits.part_headers,
            max_segment_size=limits.file_bytes,
            max_segment_count=limits.fields,
        )

    async def feed(self, chunk: bytes) -> None:
        """Parse one chunk of the body, or pass it on if it is nothing but bytes of the file."""
        between = self._seam.is_between_delimiters(chunk)
        if between and self.shortcut and self._sink is not None and not self._is_counted:
            await self._take(chunk)
            return
        seen = False
        with _form_errors():
            for event in self._parser.parse(chunk):
                seen = True
                if isinstance(event, MultipartSegment):
                    await self._begin(event)
                elif event is None:
                    self._end()
                else:
                    await self._take(event)
        if not seen and self._segment is None:
            self._count_outside(chunk)

    def finish(self) -> Form:
        """The form, if it was complete."""
        with _form_errors():
            self._parser.close()  # type: ignore[no-untyped-call]
        return self.form

    async def _begin(self, segment: MultipartSegment) -> None:
        self._segment = segment
        if not segment.name:
            raise Malformed("a part of the form has no name")
        coding = _part_header(segment, "Content-Transfer-Encoding")
        if coding.strip().lower() not in _PLAIN_CODINGS:
            raise UnsupportedMedia("part encodings are not accepted")
        if segment.name == self._file_field:
            await self._begin_file(segment)
        else:
            self._text.clear()

    async def _begin_file(self, segment: MultipartSegment) -> None:
        if self.form.upload is not None:
            raise Malformed("more than one file part")
        self._is_counted = bool(_part_header(segment, "Content-Length"))
        claims = claims_of(segment.headerlist)
        _, parameters = parse_disposition(_part_header(segment, "Content-Disposition"))
        filename = parameters.get("filename", "")
        self._sink = await self._stack.enter_async_context(
            self._stage(
                algorithms={claim.algorithm for claim in claims},
                expected_bytes=self.expected_bytes,
            )
        )
        self.form.upload = Upload(filename, _content_type(segment, filename), claims, self._sink)

    async def _take(self, chunk: bytes) -> None:
        if self._sink is not None:
            if self._sink.size + len(chunk) > self._limits.file_bytes:
                raise TooLarge("a part of the form is too large")
            metrics.received_bytes.inc(len(chunk))
            await self._sink.write(chunk)
        elif len(self._text) + len(chunk) > self._limits.field_bytes:
            raise TooLarge("a form field is too large")
        else:
            self._text += chunk

    def _end(self) -> None:
        segment, self._segment = self._segment, None
        assert segment is not None, "a part ends after it began"
        if self._sink is not None:
            self._sink = None
            return
        if segment.name in self.form.fields:
            raise Malformed("a form field is given more than once")
        try:
            self.form.fields[segment.name or ""] = self._text.decode()
        except UnicodeDecodeError as exc:
            raise Malformed("a form field is not UTF-8") from exc

    def _count_outside(self, chunk: bytes) -> None:
        """Bytes before the first part, between parts and after the last have a limit."""
        self._outside += len(chunk)
        if self._outside > self._limits.preamble_bytes:
            raise Malformed("too many bytes outside the parts of the form")


class _Seam:
    """Tells chunks that the parser need not see: it copies what it looks at.

    That is so for a chunk without a delimiter (CRLF, two hyphens, the boundary: RFC 2046 5.1.1)
    that neither ends in the beginning of one nor comes after one that did.
    """

    def __init__(self, boundary: str) -> None:
        self._delimiter = b"\r\n--" + boundary.encode()
        self._open = True

    def is_between_delimiters(self, chunk: bytes) -> bool:
        """Whether no delimiter touches ``chunk``. Every chunk is asked about, in order."""
        was_open, self._open = self._open, self._may_go_on(chunk)
        return not was_open and not self._open and self._delimiter not in chunk

    def _may_go_on(self, chunk: bytes) -> bool:
        """Whether ``chunk`` could end within a delimiter."""
        if len(chunk) < len(self._delimiter):
            return True
        tail = chunk[1 - len(self._delimiter) :]
        begin = tail.rfind(b"\r")
        return begin >= 0 and self._delimiter.startswith(tail[begin:])


def _boundary(request: web.Request) -> str:
    header = Message()
    header["Content-Type"] = request.headers.get("Content-Type", "")
    if header.get_content_type() != "multipart/form-data":
        raise UnsupportedMedia()
    boundary = str(header.get_param("boundary") or "")
    if not 1 <= len(boundary) <= _BOUNDARY_CHARACTERS or not boundary.isascii():
        raise Malformed("the form has no valid boundary")
    return boundary


def _part_header(segment: MultipartSegment, name: str) -> str:
    """A part header's value, or ``""``. Raises ``Malformed`` if it is there twice."""
    values = [value for given, value in segment.headerlist if given == name]
    if len(values) > 1:
        raise Malformed("a part header is given more than once")
    return values[0] if values else ""


def _content_type(segment: MultipartSegment, filename: str) -> str:
    """What the part says it is; what its name says if the part says nothing in particular."""
    declared = _part_header(segment, "Content-Type")
    if declared in ("", _ANY_BYTES):
        return guess_content_type(filename)
    return check_content_type(declared)


def _body_limit(limits: Limits) -> int:
    """Room for the file and everything a form may have around it."""
    around = limits.fields * (limits.field_bytes + limits.part_header_bytes)
    return limits.file_bytes + around


@contextmanager
def _form_errors() -> Iterator[None]:
    """The parser's refusals, in our words."""
    try:
        yield
    except ParserLimitReached as exc:
        raise TooLarge("a part of the form is too large") from exc
    except MultipartError as exc:
        raise Malformed("malformed multipart form") from exc
