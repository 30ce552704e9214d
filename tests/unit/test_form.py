"""Forms, read into fields and a file: the same ones wherever and however they are cut."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest

from tests.tools.forms import (
    EXAMPLES,
    FILE,
    BodyStream,
    Example,
    part,
    pieces,
    places_around_delimiters,
    request_of,
)
from tests.tools.received import Received, received

IMAGE = random.Random(9).randbytes(300)
METADATA = b'{"a":1}'
LINE_BY_LINE = (
    part(FILE, IMAGE)[2:] + b"\r\n--b-0",
    b"\r\nContent-Type: application/json",
    b'\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"a":1}\r\n--b-0--\r\n',
)
EXPECTED = {
    "fields before and after": Received({"a": "one", "z": '{"z":2}'}, b"firmware"),
    "two fields of a name": Received(fault="a form field is given more than once"),
    "two files": Received(fault="more than one file part"),
    "declared lengths": Received({"a": "one"}, b"firmware"),
    "a length that is too small": Received(fault="malformed multipart form"),
    "a length that is too large": Received(fault="malformed multipart form"),
    "padding": Received({"z": ""}, b"firm\r\n"),
    "space around headers": Received({}, b"f", content_type="text/plain"),
    "an empty file": Received({"a": "one", "z": '{"z":2}'}, b""),
    "headers one by one": Received({"metadata": '{"a":1}'}, b"f"),
}


def by_name(example: Example) -> str:
    return example.name


async def receive(chunks: Sequence[bytes]) -> Received:
    stream = BodyStream()
    stream.feed(chunks)
    return await received(request_of(stream))


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.name in EXPECTED], ids=by_name)
async def test_a_form_is_its_fields_and_its_file(example: Example) -> None:
    assert EXPECTED[example.name] == await receive([example.body])


async def test_a_form_that_is_written_line_by_line_has_no_line_in_its_file() -> None:
    """The three writes that once gave a file of 332 bytes, and no metadata."""
    assert Received({"metadata": METADATA.decode()}, IMAGE) == await receive(LINE_BY_LINE)


@pytest.mark.parametrize("example", EXAMPLES, ids=by_name)
async def test_no_cut_changes_what_is_received(example: Example) -> None:
    """Every single one; where the form is in order, every pair around the delimiters, too.

    All pairs, and triples, are tried on the parser, for there is nothing else that looks for
    delimiters (``test_multipart``).
    """
    whole = await receive([example.body])
    aimed = [] if whole.fault else places_around_delimiters(example.body, behind=1)
    singles = itertools.combinations(range(1, len(example.body)), 1)
    for cuts in itertools.chain(singles, itertools.combinations(aimed, 2)):
        assert whole == await receive(pieces(example.body, cuts)), cuts


@pytest.mark.parametrize("example", EXAMPLES, ids=by_name)
async def test_no_piece_past_the_parser_changes_what_is_received(example: Example) -> None:
    """The first bytes come by aiohttp's parser, the rest in the pieces of the body receiver."""
    body = example.body
    whole = await receive([body])
    for first, ahead in itertools.product([0, *places_around_delimiters(body)], [1, 7, 41]):
        stream = BodyStream(ahead)
        stream.feed([body[:first]])
        stream.feed_past_the_parser(body[first:])
        assert whole == await received(request_of(stream)), (first, ahead)
