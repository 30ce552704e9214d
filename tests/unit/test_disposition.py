"""Content-Disposition: RFC 6266, 8187 and 7578, and what real clients send."""

from __future__ import annotations

import pytest

from gateway.model.disposition import attachment, parse_disposition
from gateway.model.errors import Malformed


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("fw-1.2.bin", 'attachment; filename="fw-1.2.bin"', id="plain"),
        pytest.param("a b;c,d.bin", 'attachment; filename="a b;c,d.bin"', id="quoted needs"),
        pytest.param(
            "naïve.bin",
            "attachment; filename=\"na_ve.bin\"; filename*=UTF-8''na%C3%AFve.bin",
            id="latin",
        ),
        pytest.param("🚀", "attachment; filename=\"_\"; filename*=UTF-8''%F0%9F%9A%80", id="emoji"),
        pytest.param(
            'a"b', 'attachment; filename="a\\"b"; filename*=UTF-8\'\'a%22b', id="quotation mark"
        ),
        pytest.param(
            "a\\b", "attachment; filename=\"a\\\\b\"; filename*=UTF-8''a%5Cb", id="backslash"
        ),
        pytest.param(
            "50%20.bin",
            "attachment; filename=\"50%20.bin\"; filename*=UTF-8''50%2520.bin",
            id="per cent signs some clients would decode",
        ),
        pytest.param(
            "a\r\nB: c",
            "attachment; filename=\"a__B: c\"; filename*=UTF-8''a%0D%0AB%3A%20c",
            id="no second header",
        ),
        pytest.param(
            "it's*(1)é",
            "attachment; filename=\"it's*(1)_\"; filename*=UTF-8''it%27s%2A%281%29%C3%A9",
            id="what RFC 8187 wants encoded",
        ),
        pytest.param(
            "a!#$&+^`|~é",
            "attachment; filename=\"a!#$&+^`|~_\"; filename*=UTF-8''a!#$&+^`|~%C3%A9",
            id="what RFC 8187 leaves as it is",
        ),
        pytest.param(
            "a\ud800b", "attachment; filename=\"a_b\"; filename*=UTF-8''a%3Fb", id="half a letter"
        ),
    ],
)
def test_a_name_is_written_as(name: str, expected: str) -> None:
    assert expected == attachment(name)


@pytest.mark.parametrize(
    ("value", "filename"),
    [
        pytest.param('form-data; name="f"; filename="fw.bin"', "fw.bin", id="everyone"),
        pytest.param("form-data; name=f; filename=fw.bin", "fw.bin", id="bare words"),
        pytest.param("form-data; name=f; filename=MAX", "MAX", id="a bare word in capitals"),
        pytest.param('form-data; name="f"; filename="a" \t', "a", id="spaces at the end"),
        pytest.param('form-data; name="f"; filename="a;b;c.bin"', "a;b;c.bin", id="semicolons"),
        pytest.param('form-data;name="f";filename="a=b"', "a=b", id="no spaces"),
        pytest.param('form-data; name="f"; filename="naïve 🚀.bin"', "naïve 🚀.bin", id="UTF-8"),
        pytest.param('form-data; name="f"; filename=""', "", id="no file chosen"),
        pytest.param('form-data; name="f"; filename="a%22b"', 'a"b', id="browser quote"),
        pytest.param('form-data; name="f"; filename="a%0D%0Ab"', "a\r\nb", id="browser line end"),
        pytest.param('form-data; name="f"; filename="50%20 %25"', "50%20 %25", id="per cent"),
        pytest.param(r'form-data; name="f"; filename="a\"b"', 'a"b', id="old curl quote"),
        pytest.param(r'form-data; name="f"; filename="a\\b"', r"a\b", id="old curl backslash"),
        pytest.param(r'form-data; name="f"; filename="a\"%22"', 'a"%22', id="one style a value"),
        pytest.param(r'form-data; name="f"; filename="C:\x\y"', r"C:\x\y", id="raw backslash"),
        pytest.param(
            r'form-data; name="f"; filename="C:\x%22"', r'C:\x"', id="raw backslash, browser quote"
        ),
        pytest.param('Form-Data; NAME="f"; FileName="a"', "a", id="capitals"),
        pytest.param('form-data; name="f" ; ; filename="a";', "a", id="spare semicolons"),
        pytest.param("form-data; name=f; filename*=utf-8''n%C3%A4", "nä", id="extended"),
        pytest.param("form-data; name=f; filename*=UTF-8'de'n%c3%a4", "nä", id="language"),
        pytest.param(
            "form-data; filename=\"n_\"; filename*=UTF-8''n%C3%A4; name=f", "nä", id="both"
        ),
        pytest.param(
            "form-data; filename*=UTF-8''n%C3%A4; filename=\"n_\"; name=f", "nä", id="both, swapped"
        ),
    ],
)
def test_a_file_name_is_read_exactly(value: str, filename: str) -> None:
    assert parse_disposition(value) == ("form-data", {"name": "f", "filename": filename})


def test_a_plain_field_has_no_file_name() -> None:
    assert parse_disposition('form-data; name="x"') == ("form-data", {"name": "x"})
    assert parse_disposition("attachment") == ("attachment", {})


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="empty"),
        pytest.param('; name="f"', id="no type"),
        pytest.param("form-data name=f", id="no semicolon"),
        pytest.param("form-data; name", id="no value"),
        pytest.param("form-data; name=", id="empty bare value"),
        pytest.param("form-data; name = f", id="space around the equals sign"),
        pytest.param("form-data; filename=a b.bin", id="bare words with a space"),
        pytest.param("form-data; filename=nä.bin", id="bare UTF-8"),
        pytest.param('form-data; filename="a', id="no closing quote"),
        pytest.param('form-data; filename="a\\"', id="the closing quote is escaped"),
        pytest.param('form-data; filename="a"b"', id="a quote too many"),
        pytest.param('form-data; filename="a"; filename="b"', id="two file names"),
        pytest.param('form-data; filename="a"; FILENAME="b"', id="two but for case"),
        pytest.param('form-data; filename="a\nb"', id="line feed"),
        pytest.param('form-data; filename="a\0b"', id="NUL"),
        pytest.param('form-data; filename="\udcff"', id="bytes that were not UTF-8"),
        pytest.param("form-data; filename*=\"UTF-8''a\"", id="extended and quoted"),
        pytest.param("form-data; filename*=iso-8859-1''a", id="extended in Latin-1"),
        pytest.param("form-data; filename*=UTF-8''%ff", id="extended but not UTF-8"),
        pytest.param("form-data; filename*=UTF-8''%ed%a0%80", id="extended surrogate"),
        pytest.param("form-data; filename*=UTF-8''%zz", id="extended but not hex"),
        pytest.param("form-data; filename*=a", id="extended without charset"),
    ],
)
def test_a_disposition_with_two_readings_or_none_is_malformed(value: str) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_disposition(value)
    twice = "a" in value and value.lower().count("filename=") > 1
    said = "repeated parameter in content disposition" if twice else "malformed content disposition"
    assert said == str(refusal.value)
