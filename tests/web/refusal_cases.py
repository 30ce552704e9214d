"""Bodies that must be refused, each with its status and sentence: written out by hand."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from tests.tools.firmware import Firmware
from tests.tools.rawhttp import multipart

CONTENT = Firmware(50, 3000).content
WRONG = Firmware(51, 3000).content
LARGEST_FILE = 10 << 20
DIGEST = "the content does not match its declared digest"
FORBIDDEN = "the file name contains a forbidden character"
SEPARATOR = "the file name contains a path separator"
DISPOSITION = "malformed content disposition"
LARGE_FILE = f"the file is larger than {LARGEST_FILE} bytes (GATEWAY_MAX_FILE_BYTES)"
LONG_HEADER = "a header of a part is larger than 8192 bytes"
OUTSIDE = "too many bytes outside the parts of the form"
NO_FORM = "unsupported content type: multipart/form-data is accepted"
BROKEN = "malformed multipart form"
LINES = "malformed multipart form: its lines end with CR LF, both"
LENGTH = "the body does not have its declared length"

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Case:
    """A request's own headers and body, and what it must be answered with."""

    headers: Headers
    body: bytes
    status: int
    sentence: str


def file_part(name: str = "new.bin", *more: str, content: bytes = CONTENT) -> tuple[str, bytes]:
    """The part of a file, with more header lines."""
    disposition = f'Content-Disposition: form-data; name="file"; filename="{name}"'
    return "\r\n".join([disposition, "Content-Type: application/octet-stream", *more]), content


def field(name: str, value: bytes) -> tuple[str, bytes]:
    """A text field."""
    return f'Content-Disposition: form-data; name="{name}"', value


def form(
    status: int, sentence: str, parts: Iterable[tuple[str, bytes]], *more: tuple[str, str]
) -> Case:
    """A form in good framing."""
    headers, body = multipart(parts)
    return Case((*headers, *more), body, status, sentence)


def framed(status: int, sentence: str, body: bytes, content_type: str | None = None) -> Case:
    """A body in whatever framing."""
    given = content_type or "multipart/form-data; boundary=frontier"
    headers = (("Content-Type", given), ("Content-Length", str(len(body))))
    return Case(headers, body, status, sentence)


def digest_of(content: bytes, algorithm: str = "sha-256") -> str:
    """A digest field."""
    raw = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{base64.b64encode(raw).decode()}:"


def named(sentence: str, name: str) -> Case:
    """A file of that name."""
    return form(400, sentence, [file_part(name)])


def _whole() -> bytes:
    return multipart([file_part()])[1]


def _bytes_name(sentence: str, raw: bytes) -> Case:
    return framed(400, sentence, _whole().replace(b"new.bin", raw))


def old_digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Its base64, as the older headers have it."""
    return base64.b64encode(hashlib.new(algorithm, content).digest()).decode()


DIGESTS = {
    "Content-MD5 of the part": form(
        400, DIGEST, [file_part("new.bin", f"Content-MD5: {old_digest_of(WRONG, 'md5')}")]
    ),
    "Content-MD5 of the request": form(
        400, DIGEST, [file_part()], ("Content-MD5", old_digest_of(CONTENT, "md5"))
    ),
    "Digest of the part": form(
        400,
        DIGEST,
        [file_part("new.bin", f"Digest: adler32=x, sha-256={old_digest_of(WRONG)}")],
    ),
    "Digest of the request, one of two wrong": form(
        400,
        DIGEST,
        [file_part()],
        ("Digest", f"unixsum=3,MD5={old_digest_of(WRONG, 'md5')}"),
    ),
    "a Content-MD5 that is none": form(
        400, "malformed digest field", [file_part()], ("Content-MD5", "abc")
    ),
    "a Digest that is too short": form(
        400, "malformed digest field", [file_part("new.bin", "Digest: SHA-256=YWJj")]
    ),
    "Content-Digest of the request": form(
        400, DIGEST, [file_part()], ("Content-Digest", digest_of(WRONG))
    ),
    "Repr-Digest of the request": form(
        400, DIGEST, [file_part()], ("Repr-Digest", digest_of(WRONG, "sha-512"))
    ),
    "the file's digest is not the form's": form(
        400, DIGEST, [file_part()], ("Content-Digest", digest_of(CONTENT))
    ),
    "Content-Digest of the part": form(
        400, DIGEST, [file_part("new.bin", f"Content-Digest: {digest_of(WRONG)}")]
    ),
    "Repr-Digest of the part": form(
        400, DIGEST, [file_part("new.bin", f"Repr-Digest: {digest_of(WRONG, 'sha-512')}")]
    ),
    "one right and one wrong": form(
        400,
        DIGEST,
        [file_part("new.bin", f"Repr-Digest: {digest_of(CONTENT)}, {digest_of(WRONG, 'sha-512')}")],
    ),
    "field sha256 before the file": form(
        400, DIGEST, [field("sha256", hashlib.sha256(WRONG).hexdigest().encode()), file_part()]
    ),
    "field sha256 after the file": form(
        400, DIGEST, [file_part(), field("sha256", hashlib.sha256(WRONG).hexdigest().encode())]
    ),
    "field sha256 is none": form(
        400, "sha256 is not 64 hex digits", [file_part(), field("sha256", b"abc")]
    ),
    "a digest field that is none": form(
        400, "malformed digest field", [file_part()], ("Content-Digest", "sha-256=abc")
    ),
    "a digest that is too short": form(
        400, "malformed digest field", [file_part("new.bin", "Repr-Digest: sha-256=:YWJj:")]
    ),
}

FORMS = {
    "no file part": form(400, "missing part: file", [field("metadata", b"{}")]),
    "no part at all": framed(400, "missing part: file", b"--frontier--\r\n"),
    "an empty body": framed(400, BROKEN, b""),
    "two file parts": form(400, "more than one file part", [file_part("a"), file_part("b")]),
    "the same field twice": form(
        400,
        "a form field is given more than once",
        [field("metadata", b"{}"), field("metadata", b"{}"), file_part()],
    ),
    "a field that is not UTF-8": form(
        400, "a form field is not UTF-8", [field("metadata", b'{"a":"\xff"}'), file_part()]
    ),
    "metadata that is no JSON": form(
        400, "malformed JSON", [file_part(), field("metadata", b'{"a":')]
    ),
    "metadata before the file": form(
        400, "malformed JSON", [field("metadata", b"nonsense"), file_part()]
    ),
    "metadata that is a list": form(
        400, "metadata is not a JSON object", [file_part(), field("metadata", b"[1]")]
    ),
    "metadata with NUL": form(
        400,
        "the JSON contains a NUL character",
        [file_part(), field("metadata", b'{"a":"\\u0000"}')],
    ),
    "metadata nested without end": form(
        400,
        "the JSON is nested too deeply",
        [file_part(), field("metadata", b'{"a":' + b"[" * 60 + b"]" * 60 + b"}")],
    ),
    "metadata with a lone surrogate": form(
        400, "malformed JSON", [file_part(), field("metadata", b'{"a":"\\ud800"}')]
    ),
    "a time that is none": form(
        400, "time is not a number of seconds", [file_part(), field("time", b"yesterday")]
    ),
    "an infinite time": form(
        400, "time is not a number of seconds", [file_part(), field("time", b"1e999")]
    ),
    "a time that is not a number": form(
        400, "time is not a number of seconds", [file_part(), field("time", b"nan")]
    ),
    "a field of 65537 bytes": form(
        413, "a form field is larger than 65536 bytes", [field("note", b"x" * 65537), file_part()]
    ),
    "40 fields": form(
        413,
        "the form has more than 32 parts",
        [*(field(f"f{n}", b"") for n in range(40)), file_part()],
    ),
    "20 headers in a part": form(
        413,
        "a part has more than 16 headers",
        [file_part("new.bin", *(f"X-{n}: y" for n in range(20)))],
    ),
    "a part header of 10 MiB": form(
        413, LONG_HEADER, [file_part("new.bin", "X: " + "y" * (10 << 20))]
    ),
    "a part header without end": framed(413, LONG_HEADER, b"--frontier\r\nX: " + b"y" * (10 << 20)),
    "a preamble without end": framed(400, OUTSIDE, b"x" * (10 << 20)),
    "an epilogue without end": framed(400, OUTSIDE, _whole() + b"x" * (10 << 20)),
    "a file above the limit": form(
        413, LARGE_FILE, [file_part(content=bytes(LARGEST_FILE + (4 << 20)))]
    ),
    "a file just above the limit": form(
        413, LARGE_FILE, [file_part(content=bytes(LARGEST_FILE + 1))]
    ),
    "a part without a name": form(
        400,
        "a part of the form has no name",
        [("Content-Disposition: form-data", b"x"), file_part()],
    ),
    "a part without a disposition": form(400, BROKEN, [("X-Some: header", b"x"), file_part()]),
    "a part's length that is too small": form(
        400, BROKEN, [file_part("new.bin", f"Content-Length: {len(CONTENT) - 1}")]
    ),
    "a part's length that is too large": form(
        400, BROKEN, [file_part("new.bin", f"Content-Length: {len(CONTENT) + 1}")]
    ),
    "a part in base64": form(
        415,
        "part encodings are not accepted",
        [file_part("new.bin", "Content-Transfer-Encoding: base64", content=b"AAAA")],
    ),
    "a part in quoted-printable": form(
        415,
        "part encodings are not accepted",
        [file_part("new.bin", "content-transfer-encoding: Quoted-Printable")],
    ),
    "the request in gzip": form(
        415, "content encodings are not accepted", [file_part()], ("Content-Encoding", "gzip")
    ),
    "no last boundary": framed(400, BROKEN, _whole().removesuffix(b"--frontier--\r\n")),
    "a line feed for an end of line": framed(400, LINES, _whole().replace(b"\r\n", b"\n")),
    "no boundary said": framed(
        400, "the form has no valid boundary", _whole(), "multipart/form-data"
    ),
    "a boundary of 71 characters": framed(
        400, "the form has no valid boundary", _whole(), f"multipart/form-data; boundary={71 * 'x'}"
    ),
    "not a form": framed(415, NO_FORM, CONTENT, "application/octet-stream"),
    "another kind of multipart": framed(
        415, NO_FORM, _whole(), "multipart/mixed; boundary=frontier"
    ),
}

NAMES = {
    "of 300 bytes": named("the file name is longer than 255 bytes", "a" * 300),
    "of 256 bytes in 128 characters": named("the file name is longer than 255 bytes", "ä" * 128),
    "with a slash": named(SEPARATOR, "a/b.bin"),
    "that climbs": named(SEPARATOR, "../../etc/passwd"),
    "with a backslash": named(SEPARATOR, "a\\b.bin"),
    "that is absent": form(
        400, "the file name is empty", [('Content-Disposition: form-data; name="file"', b"x")]
    ),
    "that is empty": named("the file name is empty", ""),
    "with a control character": named(FORBIDDEN, "a\x85b"),
    "with a bidirectional override": named(FORBIDDEN, "a\u202enib.bin"),
    "with a NUL": _bytes_name(DISPOSITION, b"ne\0.bin"),
    "that is not UTF-8": _bytes_name(BROKEN, b"ne\xff.bin"),
    "with an escaped line break": named(FORBIDDEN, "a%0D%0Ab"),
    "of two dots": named("the file name is reserved", ".."),
    "with a space at its end": named("the file name is reserved", "a.bin "),
    "of a device of Windows": named("the file name is reserved", "con.bin"),
    "in another normal form": named("the file name is not in Unicode normal form C", "u\u0308.bin"),
    "in an open quotation": framed(400, DISPOSITION, _whole().replace(b'new.bin"', b"new.bin")),
    "given twice": framed(
        400,
        "repeated parameter in content disposition",
        _whole().replace(b'filename="new.bin"', b'filename="new.bin"; filename="other.bin"'),
    ),
}
