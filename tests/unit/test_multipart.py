"""The framing of forms: wherever they are cut, and as other parsers read them."""

from __future__ import annotations

import pytest

from gateway.web.uploads.multipart import MultipartParser
from tests.differential.explore_forms import explore
from tests.tools.forms import (
    EXAMPLES,
    FILE,
    LIMITS,
    Example,
    Parsed,
    all_cuts,
    form,
    parsed,
    parsed_by_email,
    parsed_by_package,
    part,
    pieces,
)

SOUND = [example for example in EXAMPLES if not example.fault]


def by_name(example: Example) -> str:
    return example.name


@pytest.mark.parametrize("example", EXAMPLES, ids=by_name)
def test_no_cut_changes_what_a_form_is_understood_to_be(example: Example) -> None:
    """Every cut, every pair, every triple around the delimiters, and every byte alone."""
    whole = parsed([example.body])
    for cuts in all_cuts(example.body):
        assert whole == parsed(pieces(example.body, cuts)), cuts


@pytest.mark.parametrize("example", EXAMPLES, ids=by_name)
def test_what_is_wrong_with_a_form_is_said(example: Example) -> None:
    assert example.fault == parsed([example.body]).fault


@pytest.mark.parametrize("example", SOUND, ids=by_name)
def test_independent_parsers_read_the_same_parts(example: Example) -> None:
    ours = parsed([example.body])
    assert ours == parsed_by_email(example.body)
    assert example.only_email or ours == parsed_by_package(example.body)


def test_a_form_without_parts_has_none() -> None:
    assert Parsed() == parsed([b"--b-0--\r\n"])


@pytest.mark.parametrize("size", [1, 3, 1000, 100_000])
def test_a_chunk_without_a_delimiter_is_handed_on_uncopied(size: int) -> None:
    parser, chunk = MultipartParser("b-0", LIMITS), b"x" * size
    parser.receive(form(part(FILE, b"begin"))[: -len(b"\r\n--b-0--\r\n")])
    while parser.next_event() is not None:
        pass
    parser.receive(chunk)
    assert parser.next_event() is chunk
    assert parser.next_event() is None


@pytest.mark.parametrize("seed", range(4))
def test_forms_of_every_kind_are_read_as_they_were_written(seed: int) -> None:
    """Some of what ``explore_forms`` tries at length, always the same."""
    difference = explore(f"fixed {seed}", 2000)
    assert difference is None, str(difference)
