"""Names and scopes: what is refused, and that nothing is cleaned."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.model.errors import Malformed
from gateway.model.file import Scope, check_id, check_name, check_seen


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("fw-1.2.bin", id="plain"),
        pytest.param("a", id="one character"),
        pytest.param("x" * 255, id="255 bytes"),
        pytest.param("é" * 127, id="254 bytes in two-byte characters"),
        pytest.param("release notes (final).txt", id="spaces within"),
        pytest.param(" leading", id="space before"),
        pytest.param(".hidden", id="dot before"),
        pytest.param("..a", id="two dots before"),
        pytest.param("a..b", id="two dots within"),
        pytest.param("%2e%2e%2f", id="per cent signs are not decoded again"),
        pytest.param("naïve.bin", id="composed accent"),
        pytest.param("ﬁrmware²", id="compatibility characters are characters"),
        pytest.param("固件.bin", id="chinese"),
        pytest.param("🚀.bin", id="emoji"),
        pytest.param("👩\u200d🔧", id="emoji with a joiner"),
        pytest.param("a\"b';<c>&d", id="quotes and markup are data"),
        pytest.param("console.txt", id="longer than a device"),
        pytest.param("com10", id="no such port"),
        pytest.param("a.con", id="device as extension"),
        pytest.param("MAX", id="a capital at the end"),
    ],
)
def test_a_good_name_is_kept_as_it_is(name: str) -> None:
    assert name == check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="this folder"),
        pytest.param("..", id="parent folder"),
        pytest.param("...", id="three dots"),
        pytest.param("a.", id="dot at the end"),
        pytest.param("a ", id="space at the end"),
        pytest.param(" ", id="only a space"),
        pytest.param("a/b", id="slash"),
        pytest.param("/", id="only a slash"),
        pytest.param("a\\b", id="backslash"),
        pytest.param("a\0b", id="NUL"),
        pytest.param("a\nb", id="line feed"),
        pytest.param("a\n", id="line feed at the end"),
        pytest.param("a\rb", id="carriage return"),
        pytest.param("a\tb", id="tab"),
        pytest.param("a\x1bb", id="escape"),
        pytest.param("a\x7fb", id="DEL"),
        pytest.param("a\x85b", id="C1 control"),
        pytest.param("a\u2028b", id="line separator"),
        pytest.param("a\u2029b", id="paragraph separator"),
        pytest.param("a\u202egnp.exe", id="right-to-left override"),
        pytest.param("a\u2066b", id="bidirectional isolate"),
        pytest.param("a\u200fb", id="right-to-left mark"),
        pytest.param("a\ud800b", id="high surrogate"),
        pytest.param("a\udcffb", id="low surrogate"),
        pytest.param("e\u0301.bin", id="decomposed accent"),
        pytest.param("\u212bngstrom", id="singleton that normalises away"),
        pytest.param("x" * 256, id="256 bytes"),
        pytest.param("é" * 128, id="256 bytes in two-byte characters"),
        pytest.param("CON", id="device"),
        pytest.param("nul.txt", id="device with an extension"),
        pytest.param("Com1.tar.gz", id="port with extensions"),
        pytest.param("lpt\u00b9", id="port with a superscript"),
        pytest.param("aux .txt", id="device with a space"),
        pytest.param("conin$", id="console"),
    ],
)
def test_a_bad_name_is_refused(name: str) -> None:
    with pytest.raises(Malformed):
        check_name(name)


@pytest.mark.parametrize("unseen", ["\u200b", "\u200d", "\ufeff", "\u00ad", "\u2060", "\u202e"])
def test_a_new_name_has_nothing_that_is_not_seen(unseen: str) -> None:
    assert "fw.bin" == check_seen("fw.bin")
    with pytest.raises(Malformed):
        check_seen(f"fw{unseen}.bin")


def test_a_refusal_never_repeats_the_name() -> None:
    with pytest.raises(Malformed) as refusal:
        check_name("secret\0")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "owner"),
    [
        ("things", "5384fb1c-d0ae-4cbe-be52-c54223150fe0"),
        ("users", "0"),
        ("groups", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("applications", "a_b-c"),
        ("things", "x" * 128),
    ],
)
def test_a_scope_reads_as_a_folder(kind: str, owner: str) -> None:
    assert str(Scope(kind, owner)) == f"{kind}/{owner}"


@pytest.mark.parametrize(
    "file_id",
    [
        pytest.param("05c40f1e-cdaf-4e29-8976-38c899", id="as published"),
        pytest.param("x" * 255, id="255 bytes"),
        pytest.param("\U0001f680" * 63, id="252 bytes in four-byte characters"),
        pytest.param("...", id="three dots"),
        pytest.param("ends in a dot.", id="dot at the end"),
        pytest.param(" ", id="space"),
        pytest.param("con", id="device"),
        pytest.param("a\\b", id="backslash"),
        pytest.param("{id}", id="braces"),
        pytest.param("a?b#c%2Fd", id="what a URL must quote"),
        pytest.param("e\u0301", id="decomposed accent"),
    ],
)
def test_a_good_id_is_kept_as_it_is(file_id: str) -> None:
    assert file_id == check_id(file_id)


@pytest.mark.parametrize(
    "file_id",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="this folder"),
        pytest.param("..", id="parent folder"),
        pytest.param("a/b", id="slash"),
        pytest.param("a\0b", id="NUL"),
        pytest.param("a\r\nb", id="line break"),
        pytest.param("a\x7fb", id="DEL"),
        pytest.param("a\x85b", id="C1 control"),
        pytest.param("a\u2028b", id="line separator"),
        pytest.param("a\ud800b", id="lone surrogate"),
        pytest.param("x" * 256, id="256 bytes"),
        pytest.param("\u00e9" * 128, id="256 bytes in two-byte characters"),
    ],
)
def test_a_bad_id_is_malformed(file_id: str) -> None:
    with pytest.raises(Malformed):
        check_id(file_id)


@pytest.mark.parametrize(
    "part",
    ["", ".", "..", "a/b", "a\\b", "-a", "_a", "a b", "a\n", "a\0", "é", "\u0661", "x" * 129],
)
def test_a_scope_that_is_no_folder_name_is_malformed(part: str) -> None:
    with pytest.raises(Malformed):
        Scope("things", part)
    with pytest.raises(Malformed):
        Scope(part, "1")


SAID = [
    (check_name, "", "the file name is empty"),
    (check_name, "x" * 256, "the file name is longer than 255 bytes"),
    (check_name, "a\0", "the file name contains a forbidden character"),
    (check_name, "a/b", "the file name contains a path separator"),
    (check_name, "con", "the file name is reserved"),
    (check_name, "e\u0301", "the file name is not in Unicode normal form C"),
    (check_seen, "a\u200b", "the file name contains a character that cannot be seen"),
    (check_id, "", "the file id is empty"),
    (check_id, "x" * 256, "the file id is longer than 255 bytes"),
    (check_id, "a\0", "the file id contains a forbidden character"),
    (check_id, "..", "the file id is reserved"),
    (lambda owner: str(Scope("things", owner)), "..", "malformed entity id"),
]


@pytest.mark.parametrize(("check", "text", "said"), SAID, ids=[said for *_, said in SAID])
def test_a_refusal_says_what_is_wrong(check: Callable[[str], str], text: str, said: str) -> None:
    with pytest.raises(Malformed) as refusal:
        check(text)
    assert said == str(refusal.value)
