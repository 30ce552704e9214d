"""Whoever compares what came over the socket tells a wrong answer; ``make torture ARGS=wire`` asks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.oracle.requests import Request
from tests.oracle.rfc9110 import Resource
from tests.oracle.wire import Difference, File, check
from tests.tools.rawhttp import Answer, Head

RESOURCE = Resource('"tag"', datetime(2026, 11, 9, tzinfo=UTC), 10)
FILE = File("/files/f", b"0123456789", RESOURCE)
PART = "--x\r\nContent-Type: a/b\r\nContent-Range: bytes {}\r\n\r\n{}\r\n"
PARTS = (PART.format("0-1/10", "01") + PART.format("4-5/10", "45") + "--x--\r\n").encode()
SEVERAL = {"range": "bytes=0-1,4-5"}


def asked(method: str = "GET", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, named, RESOURCE, strict=False, several=True)


def said(status: int, body: bytes = b"", **headers: str) -> Answer:
    fields = {"ETag": '"tag"', "Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return Answer(Head("HTTP/1.1", status, "", tuple(fields.items()), 0), body)


RIGHT = {
    "the whole": (asked(), said(200, FILE.content, Content_Type="a/b")),
    "a part": (asked(range="bytes=2-3"), said(206, b"23", Content_Range="bytes 2-3/10", Content_Type="a/b")),
    "several": (asked(**SEVERAL), said(206, PARTS, Content_Type="multipart/byteranges; boundary=x")),
    "none of it": (asked(range="bytes=10-"), said(416, b"no", Content_Range="bytes */10")),
    "not again": (asked(if_none_match='"tag"'), said(304)),
    "only the head": (asked("HEAD"), said(200, Content_Length="10", Content_Type="a/b")),
}  # fmt: skip
WRONG = {
    "another part": (asked(range="bytes=2-3"), said(206, b"12", Content_Range="bytes 1-2/10", Content_Type="a/b")),
    "other bytes": (asked(range="bytes=2-3"), said(206, b"24", Content_Range="bytes 2-3/10", Content_Type="a/b")),
    "the whole for a part": (asked(range="bytes=2-3"), said(200, FILE.content, Content_Type="a/b")),
    "a part for the whole": (asked("HEAD", range="bytes=2-3"), said(206, Content_Range="bytes 2-3/10", Content_Type="a/b")),
    "the first of several": (asked(**SEVERAL), said(206, b"01", Content_Range="bytes 0-1/10", Content_Type="a/b")),
    "several in another order": (
        asked(range="bytes=4-5,0-1"), said(206, PARTS, Content_Type="multipart/byteranges; boundary=x")),
    "another size": (asked(range="bytes=10-"), said(416, b"no", Content_Range="bytes */11")),
    "another entity tag": (asked(), said(200, FILE.content, ETag='"other"', Content_Type="a/b")),
    "the condition was not seen": (asked(if_none_match='"tag"'), said(200, FILE.content, Content_Type="a/b")),
    "a body for HEAD": (asked("HEAD"), said(200, FILE.content, Content_Type="a/b")),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "answer"), RIGHT.values(), ids=RIGHT.keys())
def test_a_right_answer_is_right(request_: Request, answer: Answer) -> None:
    check("alone", request_, FILE, answer)


@pytest.mark.parametrize(("request_", "answer"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_answer_is_told(request_: Request, answer: Answer) -> None:
    with pytest.raises(Difference):
        check("alone", request_, FILE, answer)
