"""Inputs that are nearly right: bytes and JSON, damaged by choices.

Rule: the same choices make the same input; nothing here knows what it is for.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

SCRAPS = [
    *(b"", b"\x00", b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x0b", b"\x7f", b"\xff", b"\xc3\xa9", b"\xed\xb0\x80", b"\xf0\x9f\x98\x80"),
    *(b'"', b"'", b"\\", b'\\"', b"%", b"%00", b"%2f", b"%0d%0a", b"%ff", b"%25", b"%u0041", b"+", b"&", b"=", b";", b",", b":", b"/"),
    *(b"//", b"..", b"../", b"*", b"?", b"#", b"@", b"[", b"]", b"{", b"}", b"(", b")", b"<", b">", b"|", b"$", b"~", b"-", b"--", b"_"),
    *(b"0", b"-0", b"-1", b"1e400", b"0x10", b"9" * 19, b"9" * 30, b"1" + b"0" * 400, b"NaN", b"null", b"true", b"\xd9\xa1", b"\xef\xbc\x91"),
    *(b"UTF-8''", b"bytes=", b"sha-256=:", b"W/", b"Bearer ", b"Basic ", b"filename", b"name", b"*=", b"--b-0", b"\r\n--b-0--\r\n"),
    *(b"Content-Type: ", b"charset", b"\xe2\x80\xae", b"\xe2\x80\x8b", b"\xcc\x81", b"\xef\xbb\xbf", b"A" * 300, b"a=b;" * 50, b"((((" * 40),
]  # fmt: skip
ODD: list[object] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 1.5, -0.0, 1e308, 1e-320),
    *("", " ", "\x00", "a", "\u202e", "\ufeff", "e\u0301", "\U0001f600", "../x", "9" * 400, "a" * 5000, "true"),
    *([], {}, [[]], [None], {"": None}, {"a": {"b": [1, "2", None]}}, [1] * 300),
]  # fmt: skip
Json = object


def damaged(pick: random.Random, text: bytes, others: Sequence[bytes]) -> bytes:
    """``text`` with one to six changes: scraps put in, bytes lost, doubled, flipped, or the end of another."""
    for _ in range(pick.choice((1, 1, 1, 2, 3, 6))):
        text = pick.choice(_CHANGES)(pick, text, others)
    return text


def odd(pick: random.Random, value: Json) -> Json:
    """A value like it with one to three members that are odd, gone, doubled or misnamed."""
    whole = [copy.deepcopy(value)]
    for _ in range(pick.choice((1, 1, 1, 2, 3))):
        _change_one(pick, whole)
    return whole[0]


def _put(pick: random.Random, text: bytes, _: Sequence[bytes]) -> bytes:
    place = pick.randrange(len(text) + 1)
    return text[:place] + pick.choice(SCRAPS) + text[place:]


def _replace(pick: random.Random, text: bytes, _: Sequence[bytes]) -> bytes:
    place = pick.randrange(len(text) + 1)
    return text[:place] + pick.choice(SCRAPS) + text[place + pick.choice((1, 1, 2, 9)) :]


def _lose(pick: random.Random, text: bytes, _: Sequence[bytes]) -> bytes:
    place = pick.randrange(len(text) + 1)
    return text[:place] + text[place + pick.choice((1, 1, 2, 5, 30)) :]


def _double(pick: random.Random, text: bytes, _: Sequence[bytes]) -> bytes:
    place = pick.randrange(len(text) + 1)
    piece = text[place : place + pick.choice((1, 3, 10, 50))]
    return text[:place] + piece * pick.choice((2, 2, 3, 40)) + text[place:]


def _flip(pick: random.Random, text: bytes, _: Sequence[bytes]) -> bytes:
    if not text:
        return text
    place = pick.randrange(len(text))
    return text[:place] + bytes((text[place] ^ 1 << pick.randrange(8),)) + text[place + 1 :]


def _cut(pick: random.Random, text: bytes, _: Sequence[bytes]) -> bytes:
    return text[: pick.randrange(len(text) + 1)]


def _cross(pick: random.Random, text: bytes, others: Sequence[bytes]) -> bytes:
    other = pick.choice(others)
    return text[: pick.randrange(len(text) + 1)] + other[pick.randrange(len(other) + 1) :]


_CHANGES: Sequence[Callable[[random.Random, bytes, Sequence[bytes]], bytes]] = (
    *(_put, _put, _replace, _replace, _lose, _double, _flip, _cut, _cross),
)


def _change_one(pick: random.Random, whole: list[Json]) -> None:
    holder: Any = whole
    key: Any = 0
    while pick.random() < 0.8 and isinstance(holder[key], list | dict) and holder[key]:
        holder = holder[key]
        key = pick.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    kind = pick.random()
    if kind < 0.6:
        holder[key] = copy.deepcopy(pick.choice(ODD))
    elif kind < 0.75 and holder is not whole:
        del holder[key]
    elif isinstance(holder, list):
        holder.append(copy.deepcopy(holder[0]))
    else:
        names = ("", "\x00", "name", "a" * 300, f"{key} ", str(key).upper())
        holder[pick.choice(names)] = holder[key]
