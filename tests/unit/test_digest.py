"""Digests: RFC 9530 fields, and claims that must never be taken for true by mistake."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from gateway.model.digest import (
    Claim,
    Digest,
    check_claims,
    claims_of,
    parse_digest_field,
    parse_sha256_text,
)
from gateway.model.errors import DigestMismatch, Malformed

# RFC 9530, appendix B.1: the content {"hello": "world"} and a line feed, and its digests.
CONTENT = b'{"hello": "world"}\n'
SHA256 = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
SHA512 = (
    "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3"
    "qg==:"
)
CLAIM256 = Claim("sha256", hashlib.sha256(CONTENT).digest())
CLAIM512 = Claim("sha512", hashlib.sha512(CONTENT).digest())
COMPUTED = {"sha256": CLAIM256.value, "sha512": CLAIM512.value}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param(SHA256, (CLAIM256,), id="example of the RFC"),
        pytest.param(SHA512, (CLAIM512,), id="the other algorithm"),
        pytest.param(f"{SHA256}, {SHA512}", (CLAIM256, CLAIM512), id="both"),
        pytest.param(f"{SHA256},\t{SHA512}", (CLAIM256, CLAIM512), id="both with a tab"),
        pytest.param(f"  {SHA256} ", (CLAIM256,), id="spaces around"),
        pytest.param(f"{SHA256};q=1", (CLAIM256,), id="parameters"),
        pytest.param(f"{SHA256[:-2]}:", (CLAIM256,), id="without padding"),
        pytest.param(f"md5=:AAAA:, {SHA256}", (CLAIM256,), id="deprecated algorithm ignored"),
        pytest.param("unixsum=:AAAA:", (), id="only an algorithm that is ignored"),
        pytest.param("x=1, y, z=(a b)", (), id="any values in unknown algorithms"),
        pytest.param(f"sha-256=:AAAA:, {SHA256}", (CLAIM256,), id="the last of two counts"),
        pytest.param("", (), id="empty dictionary"),
    ],
)
def test_a_digest_field_is_read_as(field: str, expected: tuple[Claim, ...]) -> None:
    assert expected == parse_digest_field(field)


@pytest.mark.parametrize(
    "field",
    [
        pytest.param("sha-256=:AAAA:", id="too short"),
        pytest.param(f"sha-256={SHA512[8:]}", id="too long"),
        pytest.param("sha-256=::", id="empty"),
        pytest.param("sha-256", id="no value"),
        pytest.param("sha-256=1", id="a number"),
        pytest.param('sha-256="RK/0"', id="a string"),
        pytest.param(f"sha-256=({SHA256[8:]})", id="an inner list"),
        pytest.param("sha-256=44aff4ab", id="hexadecimal"),
        pytest.param("sha-256=RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=", id="no colons"),
        pytest.param(SHA256[:-1], id="no closing colon"),
        pytest.param(SHA256.replace("/", "_"), id="base64url"),
        pytest.param(SHA256.upper(), id="capital key"),
        pytest.param(f"{SHA256},", id="comma at the end"),
        pytest.param(f"{SHA256} {SHA512}", id="no comma"),
        pytest.param(f"{SHA256}, x=(", id="an unknown algorithm must be well-formed too"),
        pytest.param("sha-256=:é:", id="not ASCII"),
        pytest.param("x\udcff", id="lone surrogate"),
        pytest.param("x, " * 2000 + "x", id="far too long"),
    ],
)
def test_a_digest_field_that_cannot_be_understood_is_malformed(field: str) -> None:
    with pytest.raises(Malformed):
        parse_digest_field(field)


MD5 = Claim("md5", hashlib.md5(CONTENT, usedforsecurity=False).digest())
OLD256, OLD_MD5 = (base64.b64encode(claim.value).decode() for claim in (CLAIM256, MD5))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("Digest", f"SHA-256={OLD256}", (CLAIM256,), id="RFC 3230"),
        pytest.param("digest", f"sha-256={OLD256},MD5={OLD_MD5}", (CLAIM256, MD5), id="two"),
        pytest.param("Digest", f"UNIXsum=30637, md5={OLD_MD5}", (MD5,), id="one not known"),
        pytest.param("Digest", "sha=x, adler32=03da0195", (), id="none known"),
        pytest.param("Content-MD5", f" {OLD_MD5} ", (MD5,), id="RFC 1864"),
        pytest.param("Repr-Digest", SHA256, (CLAIM256,), id="RFC 9530"),
        pytest.param("Content-Type", OLD_MD5, (), id="another header"),
    ],
)
def test_older_headers_promise_too(name: str, value: str, expected: tuple[Claim, ...]) -> None:
    assert expected == claims_of([(name, value)])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("Digest", "SHA-256=abc", id="no base64"),
        pytest.param("Digest", f"SHA-256={OLD_MD5}", id="of another length"),
        pytest.param("Digest", "MD5", id="no value"),
        pytest.param("Digest", "x=1," * 2000, id="very long"),
        pytest.param("Content-MD5", hashlib.md5(CONTENT).hexdigest(), id="hexadecimal"),
        pytest.param("Content-MD5", "", id="empty"),
    ],
)
def test_what_an_older_header_cannot_mean_is_malformed(name: str, value: str) -> None:
    with pytest.raises(Malformed):
        claims_of([(name, value)])


def test_the_text_form_is_hexadecimal_in_either_case() -> None:
    text = hashlib.sha256(CONTENT).hexdigest()
    assert parse_sha256_text(text) == CLAIM256
    assert parse_sha256_text(f" {text.upper()}\r\n") == CLAIM256


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "g" * 64, "0x" + "0" * 62, "\u0660" * 64])
def test_any_other_text_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_sha256_text(text)


def test_true_claims_and_no_claims_pass() -> None:
    check_claims((), COMPUTED)
    check_claims((CLAIM256, CLAIM512), COMPUTED)


@pytest.mark.parametrize("position", [0, 31])
def test_one_wrong_bit_in_one_claim_is_a_mismatch(position: int) -> None:
    wrong = bytearray(CLAIM256.value)
    wrong[position] ^= 1
    with pytest.raises(DigestMismatch):
        check_claims((CLAIM512, Claim("sha256", bytes(wrong))), COMPUTED)


def test_a_digest_is_shown_short_enough_for_every_device() -> None:
    digest = Digest(hashlib.sha256(CONTENT).hexdigest())
    tag = digest.etag
    assert re.fullmatch(r'"[A-Za-z0-9_-]{43}"', tag)
    assert base64.urlsafe_b64decode(tag.strip('"') + "=") == CLAIM256.value
    assert digest.repr_digest == SHA256


@pytest.mark.parametrize("text", ["", "A" * 64, "0" * 63, "0" * 64 + "\n", "\u0660" * 64])
def test_a_digest_is_64_lower_case_digits(text: str) -> None:
    with pytest.raises(Malformed):
        Digest(text)
