"""Signed links: of one path, one version and one time, and of nothing else."""

from __future__ import annotations

from urllib.parse import parse_qsl
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from gateway.model.errors import Refusal
from gateway.web.signing.links import Link, LinkSigner, version_name
from gateway.web.signing.refusals import InvalidArgument, NotAllowed, WrongSignature

PATH, VERSION, EXPIRES = "/private-files/a/b/firmware.bin", "v" * 22, 1_795_000_000
SIGNER = LinkSigner((b"k" * 32, b"o" * 32))


def query(text: str) -> MultiDict[str]:
    return MultiDict(parse_qsl(text, keep_blank_values=True))


def signed(signer: LinkSigner = SIGNER) -> MultiDict[str]:
    return query(signer.query(PATH, VERSION, EXPIRES))


def replaced(name: str, value: str) -> MultiDict[str]:
    changed = signed()
    changed[name] = value
    return changed


def without(name: str) -> MultiDict[str]:
    changed = signed()
    del changed[name]
    return changed


def doubled(name: str) -> MultiDict[str]:
    changed = signed()
    changed.add(name, changed[name])
    return changed


def test_a_link_is_checked_without_anything_being_looked_up() -> None:
    assert SIGNER.check(PATH, signed(), EXPIRES - 1) == Link(VERSION, EXPIRES)


def test_a_link_holds_until_its_second_and_not_in_it() -> None:
    SIGNER.check(PATH, signed(), EXPIRES - 0.001)
    with pytest.raises(NotAllowed, match="expired"):
        SIGNER.check(PATH, signed(), EXPIRES)


def test_the_first_key_signs_and_a_link_of_the_one_before_still_holds() -> None:
    old, new = LinkSigner((b"o" * 32,)), LinkSigner((b"k" * 32,))
    SIGNER.check(PATH, signed(old), 0)
    assert signed() == signed(new)
    with pytest.raises(WrongSignature):
        new.check(PATH, signed(old), 0)


CASES: list[tuple[type[Refusal], str, str, MultiDict[str]]] = [
    (WrongSignature, "another path", PATH + "x", signed()),
    (WrongSignature, "another version", PATH, replaced("version", "w" * 22)),
    (WrongSignature, "a later end", PATH, replaced("expires", str(EXPIRES + 1))),
    (WrongSignature, "another signature", PATH, replaced("signature", "A" * 43)),
    (WrongSignature, "a longer signature", PATH, replaced("signature", signed()["signature"] + "=")),
    (WrongSignature, "a signature of no ASCII", PATH, replaced("signature", "é")),
    (WrongSignature, "half of a letter", PATH, replaced("version", "\ud800")),
    (WrongSignature, "half of a letter for a signature", PATH, replaced("signature", "\ud800")),
    (InvalidArgument, "an end that is no number", PATH, replaced("expires", "1e9")),
    (InvalidArgument, "an end with a sign", PATH, replaced("expires", "+1")),
    (InvalidArgument, "digits that are not ASCII", PATH, replaced("expires", "١")),
    (InvalidArgument, "an endless number", PATH, replaced("expires", "9" * 5000)),
    *((NotAllowed, f"no {n}", PATH, without(n)) for n in ("expires", "version", "signature")),
    *((NotAllowed, f"empty {n}", PATH, replaced(n, "")) for n in ("expires", "signature")),
    *((InvalidArgument, f"two of {n}", PATH, doubled(n)) for n in ("expires", "version", "signature")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expected", "path", "given"),
    [(e, p, q) for e, _, p, q in CASES],
    ids=[i for _, i, _, _ in CASES],
)
def test_a_link_that_was_not_given_away_so_is_none(
    expected: type[Refusal], path: str, given: MultiDict[str]
) -> None:
    with pytest.raises(expected) as caught:
        SIGNER.check(path, given, 0)
    assert type(caught.value) is expected


@given(st.text(max_size=40), st.text(max_size=40), st.integers(1, 10**14))
def test_what_is_signed_for_one_thing_is_for_no_other(path: str, version: str, end: int) -> None:
    if (path, version, end) != (PATH, VERSION, EXPIRES):
        other = query(SIGNER.query(path, version, end))
        assert other["signature"] != signed()["signature"]


def test_a_version_is_of_one_blob_at_one_place() -> None:
    names = {
        version_name(UUID(int=number), place) for number in (1, 2) for place in ("/a/b", "/a/c", "")
    }
    assert len(names) == 6
    assert {len(name) for name in names} == {24}


def test_a_link_that_was_given_away_by_an_earlier_gateway_holds() -> None:
    """What is signed, and how, is a promise to whoever has a link."""
    signer = LinkSigner((b"k" * 32,))
    text = signer.query(PATH, VERSION, EXPIRES)
    assert (
        text
        == f"expires={EXPIRES}&version={VERSION}&signature=JtI0TY9TOF-nfxEMQuVOxoMKSadOVyr9Xsa5vVGOfZ8"
    )
    assert version_name(UUID(int=7), "/a/é") == "r6lTG_zcr09V-D-r50UxYnlz"
    changed = query(text)
    changed["expires"] = str(EXPIRES + 1)
    with pytest.raises(WrongSignature):
        signer.check(PATH, changed, 0)


SAID = [
    (replaced("expires", "x"), "expires is no number of seconds."),
    (doubled("version"), "version is given more than once."),
]


@pytest.mark.parametrize(("given", "said"), SAID, ids=[said for _, said in SAID])
def test_a_refusal_says_what_is_wrong(given: MultiDict[str], said: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        SIGNER.check(PATH, given, 0)
    assert said == str(refusal.value)
    with pytest.raises(NotAllowed) as late:
        SIGNER.check(PATH, query(SIGNER.query(PATH, VERSION, EXPIRES)), EXPIRES)
    assert str(late.value) == "Request has expired"
