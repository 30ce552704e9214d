"""Small forms of every kind, and what three parsers make of them.

Knows how to cut a body in pieces. The independent parsers are Python's ``email`` and the package
``multipart``; neither shares a line with ours, and both see the body in one piece only.
"""

from __future__ import annotations

import asyncio
import copy
import email
import email.policy
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict, CIMultiDictProxy
from multipart import MultipartSegment, PushMultipartParser

from gateway.model.errors import GatewayError
from gateway.web.server.bodies import BodyReceiver
from gateway.web.uploads.multipart import FramingLimits, MultipartParser, PartBegins, PartEnds
from tests.tools.received import uploading_app

BOUNDARY = "b-0"
DELIMITER = f"\r\n--{BOUNDARY}".encode()
LIMITS = FramingLimits(parts=4, part_headers=4, part_header_bytes=128, outside_bytes=64)
CONTENT_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
NAMED = 'Content-Disposition: form-data; name="{}"'
FILE = 'Content-Disposition: form-data; name="file"; filename="f"'
BROKEN = "Malformed: malformed multipart form"
LINES = "Malformed: malformed multipart form: its lines end with CR LF, both"
MANY_HEADERS = "TooLarge: a part has more than 4 headers"
LONG_HEADER = "TooLarge: a header of a part is larger than 128 bytes"
MANY_PARTS = "TooLarge: the form has more than 4 parts"
OUTSIDE = "Malformed: too many bytes outside the parts of the form"
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A form's parts, headers and content; or what is wrong with it."""

    parts: tuple[tuple[Headers, bytes], ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A form, and what is wrong with it, if anything.

    ``only_email``: in order for RFC 2046, but not for the package.
    """

    name: str
    body: bytes
    fault: str = ""
    only_email: bool = False


def part(header: str, content: bytes, *, padding: str = "") -> bytes:
    """A delimiter, as within a form, and a part."""
    return DELIMITER + f"{padding}\r\n{header}\r\n\r\n".encode() + content


def form(*parts: bytes, preamble: bytes = b"", end: bytes = b"--\r\n") -> bytes:
    """Parts with the last delimiter behind them; without a preamble the first CRLF is not sent."""
    return preamble + b"".join(parts).removeprefix(b"" if preamble else b"\r\n") + DELIMITER + end


A, Z = part(NAMED.format("a"), b"one"), part(NAMED.format("z"), b'{"z":2}')
SCRAPS = b"\r\n--b-\r\r\n-\r\n--b-1--b-0--\r\n--b"
EXAMPLES = (
    Example("fields before and after", form(A, part(FILE, b"firmware"), Z)),
    Example("two fields of a name", form(A, part(NAMED.format("a"), b"two"), part(FILE, b"f"))),
    Example("two files", form(part(FILE, b"f"), part(FILE, b"g"))),
    Example(
        "declared lengths",
        form(
            part(NAMED.format("a") + "\r\nContent-Length: 3", b"one"),
            part(FILE + "\r\nContent-Length: 8", b"firmware"),
        ),
    ),
    Example("a length that is too small", form(part(FILE + "\r\nContent-Length: 7", b"firmware")), only_email=True),
    Example("a length that is too large", form(part(FILE + "\r\nContent-Length: 9", b"firmware")), only_email=True),
    Example(
        "padding",
        form(part(FILE, b"firm\r\n", padding=" \t "), part(NAMED.format("z"), b"", padding="\t"),
             end=b"-- \t\r\n"),
        only_email=True,
    ),
    Example("space around headers", form(part("Content-Type:\t text/plain \t\r\n" + FILE + " ", b"f"))),
    Example("a folded header", form(part('Content-Disposition: form-data;\r\n name="file";\r\n\tfilename="f"', b"f"), Z)),
    Example("a fold of much white space", form(part("X-Any: a;\r\n\t  b\r\n" + FILE, b"f"), Z), only_email=True),
    Example("a preamble", form(A, part(FILE, b"firmware"), preamble=b"see\r\n--b-\r\n--B-0 --b-0"), only_email=True),
    Example("a line break before all", form(part(FILE, b"firmware"), preamble=b"\r\n\r\n")),
    Example("an epilogue", form(part(FILE, b"f"), end=b"--\r\n\r\n--b-0\r\nX: y\r\n\r\n--b-0--")),
    Example("nothing behind the end", form(A, part(FILE, b"firmware"), end=b"--")),
    Example("an empty file", form(A, part(FILE, b""), Z)),
    Example("a file that is a line break", form(part(FILE, b"\r\n"), part(NAMED.format("z"), b"\r"))),
    Example("scraps of the delimiter", form(A, part(FILE, SCRAPS), Z)),
    Example("a part without content", form(A, part(FILE, b"")[:-2], Z), only_email=True),
    Example("headers one by one", form(part(FILE, b"f"), part("Content-Type: application/json\r\n" + NAMED.format("metadata"), b'{"a":1}'))),
    Example("nothing", b"", BROKEN),
    Example("no end", form(A, part(FILE, b"firmware"), end=b""), BROKEN),
    Example("half an end", form(A, part(FILE, b"firmware"), end=b"-"), BROKEN),
    Example("an end of its own", form(part(FILE, b"f"), end=b"-\r\n"), BROKEN),
    Example("no delimiter", b"Content-Disposition: form-data\r\n\r\n--b-", BROKEN),
    Example("a delimiter that goes on", form(A, part(FILE, b"f\r\n--b-0x"), Z), BROKEN),
    Example("padding, then hyphens", form(part(FILE, b"firmware"), end=b" --\r\n"), BROKEN),
    Example("a line feed in a header", form(part("X: y\n" + FILE, b"f"), Z), LINES),
    Example("a line feed behind a delimiter", form(A, part(FILE, b"f")).replace(b"\r\n", b"\n", 1), LINES),
    Example("a carriage return in a header", form(part("X: y\r" + FILE, b"f"), Z), LINES),
    Example("a header without a name", form(part(": x\r\n" + FILE, b"f"), Z), BROKEN),
    Example("a space before the colon", form(part("X : x\r\n" + FILE, b"f"), Z), BROKEN),
    Example("a header that is not UTF-8", form(DELIMITER + b"\r\nX: \xff\r\n\r\nf"), BROKEN),
    Example("a fold that begins", form(part(" x\r\n" + FILE, b"f")), BROKEN),
    Example("five headers", form(part("A: b\r\n" * 4 + FILE, b"f")), MANY_HEADERS),
    Example("a header as long as allowed", form(part("X: " + "y" * 125 + "\r\n" + FILE, b"f"))),
    Example("a header that is too long", form(part("X: " + "y" * 126 + "\r\n" + FILE, b"f")), LONG_HEADER),
    Example("five parts", form(*(part("A: b", b"") for _ in range(5))), MANY_PARTS),
    Example("a preamble as long as allowed", form(part(FILE, b"f"), preamble=b"x" * 62)),
    Example("a preamble that is too long", form(part(FILE, b"f"), preamble=b"x" * 65), OUTSIDE),
    Example("an epilogue that is too long", form(part(FILE, b"f"), end=b"--" + b"x" * 65), OUTSIDE),
    Example("padding that is too long", form(part(FILE, b"f", padding=" " * 65)), OUTSIDE),
)  # fmt: skip


def parsed(
    pieces: Iterable[bytes], boundary: str = BOUNDARY, limits: FramingLimits = LIMITS
) -> Parsed:
    """What our parser makes of these pieces of a body."""
    parser, parts, content = MultipartParser(boundary, limits), list[tuple[Headers, bytes]](), b""
    headers: Headers = ()
    try:
        for piece in pieces:
            parser.receive(piece)
            while (event := parser.next_event()) is not None:
                match event:
                    case PartBegins():
                        headers, content = event.headers, b""
                    case PartEnds():
                        parts.append((headers, content))
                    case _:
                        assert event, "content is never empty"
                        content += event
        parser.close()
    except GatewayError as fault:
        return Parsed(tuple(parts), f"{type(fault).__name__}: {fault}")
    return Parsed(tuple(parts))


def parsed_by_email(body: bytes) -> Parsed:
    """What Python's ``email`` makes of a body."""
    head = f"Content-Type: {CONTENT_TYPE}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.compat32)
    parts = [part for part in message.walk() if not part.is_multipart()]
    return Parsed(tuple((_headers(p.items()), _bytes(p.get_payload())) for p in parts))


def parsed_by_package(body: bytes) -> Parsed:
    """What the package ``multipart`` makes of a body."""
    parser, parts = PushMultipartParser(BOUNDARY), list[tuple[Headers, bytes]]()
    for event in parser.parse(body):
        if isinstance(event, MultipartSegment):
            parts.append((_headers(event.headerlist), b""))
        elif event is not None:
            parts[-1] = (parts[-1][0], parts[-1][1] + event)
    parser.close()  # type: ignore[no-untyped-call]
    return Parsed(tuple(parts))


def _headers(items: Sequence[tuple[str, str]]) -> Headers:
    unfolded = ((n.lower(), v.replace("\r\n", "").strip()) for n, v in items)
    return tuple((n, " ".join(v.split())) for n, v in unfolded)


def _bytes(payload: object) -> bytes:
    return str(payload).encode("ascii", "surrogateescape")


def pieces(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The body, cut there; without empty pieces."""
    places = [0, *sorted(cuts), len(body)]
    return [body[a:b] for a, b in itertools.pairwise(places) if a != b]


def places_around_delimiters(body: bytes, *, behind: int = 4) -> list[int]:
    """Every place from before a delimiter to a few bytes behind it, and the ends of header lines."""
    places = set[int]()
    bare = DELIMITER[2:]
    at = body.find(bare)
    while at >= 0:
        places.update(range(at - 3, at + len(bare) + behind))
        at = body.find(bare, at + 1)
    at = body.find(b"\r\n")
    while at >= 0:
        places.update((at + 1, at + 2))
        at = body.find(b"\r\n", at + 1)
    return sorted(place for place in places if 0 < place < len(body))


def all_cuts(body: bytes) -> Iterator[tuple[int, ...]]:
    """Every single cut, every pair, every triple around the delimiters, and all at once."""
    every = range(1, len(body))
    yield from itertools.combinations(every, 1)
    yield from itertools.combinations(every, 2)
    yield from itertools.combinations(places_around_delimiters(body), 3)
    yield tuple(every)


class BodyStream(StreamReader):
    """A request's body, read ahead by so many bytes at a time."""

    def __init__(self, ahead: int = 2**20) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(BaseProtocol(loop), 2**20, loop=loop)
        self._ahead = ahead

    def get_read_buffer_limits(self) -> tuple[int, int]:
        return self._ahead, 2 * self._ahead

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Chunks that come by aiohttp's parser."""
        for chunk in chunks:
            self.feed_data(chunk)

    def feed_past_the_parser(self, body: bytes) -> None:
        """The rest of a body, read from the socket three bytes at a time."""
        receiver, sent = BodyReceiver(self, len(body)), 0
        while sent < len(body):
            room = receiver.room()
            count = min(len(room), 3)
            room[:count] = body[sent : sent + count]
            sent += count
            assert receiver.take(count) == (sent == len(body))

    def chunks_left(self) -> int:
        """How many chunks nobody has taken yet."""
        return len(self._buffer)


def request_of(
    stream: StreamReader,
    *,
    app: web.Application | None = None,
    headers: Mapping[str, str] | None = None,
    is_over: bool = True,
    boundary: str | None = None,
) -> web.Request:
    """A request for a form that has all its body, if it ``is_over``."""
    if is_over:
        stream.feed_eof()
    if app is not None:
        return _new_request(app, headers or {}, stream)
    request = copy.copy(_request())
    request._payload, request._cache = stream, {}
    if boundary is not None:
        content_type = f'multipart/form-data; boundary="{boundary}"'
        request._headers = CIMultiDictProxy(CIMultiDict({"Content-Type": content_type}))
    return request


@functools.cache
def _request() -> web.Request:
    """It takes a hundred times as long to make one as to read a small form."""
    return _new_request(uploading_app(), {}, EMPTY_PAYLOAD)


def _new_request(
    app: web.Application, headers: Mapping[str, str], stream: StreamReader
) -> web.Request:
    headers = {"Content-Type": CONTENT_TYPE, **headers}
    request = make_mocked_request("POST", "/files", headers=headers, app=app, payload=stream)
    assert isinstance(request, web.Request)
    return request
