from __future__ import annotations

import pytest

from gateway.identity.emails import check_email, forms_of
from gateway.model.errors import Malformed


@pytest.mark.parametrize(
    ("kept", "written"),
    [
        pytest.param("ceo@corp.test", "CEO@Corp.Test", id="case"),
        pytest.param("jos\u00e9@corp.test", "jose\u0301@corp.test", id="accents apart"),
        pytest.param("strasse@corp.test", "stra\u00dfe@corp.test", id="folded"),
        pytest.param("\u0434\u0438\u0440@\u0444\u0438\u0440\u043c\u0430.test", "\u0414\u0438\u0440@\u0424\u0438\u0440\u043c\u0430.test", id="another script in each label"),
        pytest.param("a+b.c-d_e@x.test", "a+b.c-d_e@x.test", id="what has no script"),
    ],
)  # fmt: skip
def test_a_new_address_is_kept_in_one_form(kept: str, written: str) -> None:
    assert kept == check_email(written)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("\u202eceo@corp.test", id="right to left"),
        pytest.param("ce\u200bo@corp.test", id="zero width space"),
        pytest.param("ceo\u00ad@corp.test", id="soft hyphen"),
        pytest.param("\u212aey@corp.test", id="a Kelvin sign for k"),
        pytest.param("\uff43\uff45\uff4f@corp.test", id="wide letters"),
        pytest.param("c\u0435o@corp.test", id="a Cyrillic letter among Latin ones"),
        pytest.param("ceo@c\u03bfrp.test", id="a Greek one in the domain"),
    ],
)
def test_an_address_that_looks_like_another_is_refused(written: str) -> None:
    with pytest.raises(Malformed):
        check_email(written)


def test_an_account_of_before_is_found_as_it_was_kept() -> None:
    assert ("ce\u200bo@corp.test",) == forms_of("Ce\u200bo@corp.test")
    assert ("stra\u00dfe@x.test", "strasse@x.test") == forms_of("Stra\u00dfe@x.test")
