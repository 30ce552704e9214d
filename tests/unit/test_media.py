"""Media types: which may be stored, and which are guessed."""

from __future__ import annotations

import pytest

from gateway.model.errors import Malformed
from gateway.model.media import check_content_type, guess_content_type


@pytest.mark.parametrize(
    "value",
    [
        "text/plain",
        "application/vnd.api+json",
        "text/plain; charset=utf-8",
        "text/plain;charset=UTF-8;format=flowed",
        'multipart/mixed; boundary="a b;c"',
        'text/plain; x="a\\"b"',
        "text/plain;",
        "a/" + "b" * 253,
    ],
)
def test_a_media_type_is_kept_as_it_is(value: str) -> None:
    assert value == check_content_type(value)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param("text", id="no subtype"),
        pytest.param("text/", id="empty subtype"),
        pytest.param("/plain", id="empty type"),
        pytest.param("text/plain/x", id="two slashes"),
        pytest.param(" text/plain", id="space before"),
        pytest.param("text/plain ", id="space after"),
        pytest.param("text /plain", id="space within"),
        pytest.param("text/plain, text/html", id="two types"),
        pytest.param("text/plain charset=utf-8", id="no semicolon"),
        pytest.param("text/plain; charset", id="no value"),
        pytest.param("text/plain; charset=", id="empty value"),
        pytest.param('text/plain; x="a', id="no closing quote"),
        pytest.param("text/plain; x=\xe9", id="not ASCII"),
        pytest.param("text/plain; x=\uff11", id="full width"),
        pytest.param("text/plain\r\nX: y", id="second header"),
        pytest.param("text/plain\n", id="line feed at the end"),
        pytest.param('text/plain; x="\n"', id="line feed in quotes"),
        pytest.param("text/\udcff", id="lone surrogate"),
        pytest.param("a/" + "b" * 254, id="256 bytes"),
    ],
)
def test_what_is_no_media_type_is_malformed(value: str) -> None:
    with pytest.raises(Malformed):
        check_content_type(value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("readings.csv", "text/csv"),
        ("config.JSON", "application/json"),
        ("fw.tar.gz", "application/gzip"),
        ("fw.bin", "application/octet-stream"),
        ("fw", "application/octet-stream"),
        ("json", "application/octet-stream"),
        ("trailing.", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_a_type_is_guessed_from_the_last_extension(name: str, expected: str) -> None:
    assert expected == guess_content_type(name)


def test_every_type_in_the_table_could_be_stored() -> None:
    for extension in ("csv", "json", "docx", "js", "svg", "woff2"):
        guessed = guess_content_type(f"a.{extension}")
        assert guessed == check_content_type(guessed)
