"""What a file is, by its first bytes."""

from __future__ import annotations

import pytest

from gateway.dialects.gravwell.sniffing import sniff

TEXT, OCTETS = "text/plain; charset=utf-8", "application/octet-stream"
HEADS = {
    "a page": (b"\n\n<html>\n", "text/html; charset=utf-8"),
    "a page after much white space": (b"\r\n" * 200 + b"<html>", "text/html; charset=utf-8"),
    "the beginning of a page's beginning": (b"   <htm", TEXT),
    "three ends of lines": (b"\r\r\r", TEXT),
    "nothing but white space": (b" \t\r\n\x0c" * 100, TEXT),
    "white space and a NUL": (b"    \x00", OCTETS),
    "an archive": (b"\x1f\x8b\x08\x00", "application/x-gzip"),
    "UTF-16": (b"\xfe\xff\x00a", "text/plain; charset=utf-16be"),
}


@pytest.mark.parametrize(("head", "kind"), HEADS.values(), ids=HEADS.keys())
def test_a_file_is_what_it_begins_with(head: bytes, kind: str) -> None:
    assert sniff(head) == kind
