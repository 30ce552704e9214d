"""Suite I in small, and whether it would notice; ``make torture`` tries five million inputs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chance import choices
from tests.fuzz import readers
from tests.fuzz.readers import READERS, Found, check, fuzz

COUNT = 20_000


def test_whatever_is_read_is_taken_or_refused() -> None:
    taken = fuzz(choices("fuzz"), COUNT)
    assert all(taken.values()), taken


@pytest.mark.parametrize("name", READERS)
def test_a_good_input_is_taken_and_a_damaged_one_can_be_made_again(name: str) -> None:
    reader = READERS[name]
    for text in reader.good:
        assert check(reader, text) or len(reader.good) > 1, text
    assert reader.made(random.Random(name)) == reader.made(random.Random(name))


def _breaks(text: bytes) -> None:
    if b"\x00" in text:
        raise KeyError(text)


def _is_slow(text: bytes) -> None:
    end = time.thread_time() + 2 * readers.SLOWEST_SECONDS
    while time.thread_time() < end:
        pass


def _takes_too_much(text: bytes) -> None:
    assert len(text) <= 60, "a name that is taken is short"


WRONG = {"another exception": _breaks, "too slow": _is_slow, "a promise": _takes_too_much}


@pytest.mark.parametrize("read", WRONG.values(), ids=WRONG.keys())
def test_what_is_no_answer_is_found(
    read: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "name", replace(READERS["name"], read=read))
    with pytest.raises(Found, match="name: b"):
        fuzz(random.Random(1), 20_000)


FOUND = {  # by earlier runs; what each is refused or taken as is other tests' business
    "three ends of lines": ("ids", b"\r\r\r"),
    "a certificate of version 2": ("certificate", readers.PEM.replace(b"u6ADAgEC", b"u6ADAgEB")),
    "a certificate of version 7": ("certificate", readers.PEM.replace(b"u6ADAgEC", b"u6ADAgEG")),
}


@pytest.mark.parametrize(("name", "text"), FOUND.values(), ids=FOUND.keys())
def test_what_was_found_is_taken_or_refused(name: str, text: bytes) -> None:
    assert text not in READERS[name].good
    check(READERS[name], text)
