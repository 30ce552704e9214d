from __future__ import annotations

import pytest

from gateway.identity.common import is_common


@pytest.mark.parametrize(
    "password",
    [
        *("password", "Password2024!", "P@ssw0rd!", "pr!nc3ss99", "passwordpassword", "letmein1"),
        *("12345678", "87654321", "abcd1234", "qwertyuiop", "1q2w3e4r", "1qaz2wsx", "20261126"),
        *("aaaaaaaa", "abababab", "!!!!!!!!", "abcabcabc", "me@corp.test", "longname"),
    ],
)
def test_what_is_tried_first_is_common(password: str) -> None:
    email = "longname@corp.test" if password == "longname" else "me@corp.test"
    assert is_common(password, email)


@pytest.mark.parametrize(
    "password", ["correct-horse", "battery-staple", "x9Kp2mQz", "tr0ub4dor&3", "\u043f\u0430\u0440\u043e\u043b\u044c-9-x"]
)  # fmt: skip
def test_what_somebody_thought_up_is_not(password: str) -> None:
    assert not is_common(password, "me@corp.test")


def test_a_long_one_is_looked_at_in_no_time() -> None:
    assert is_common("ab" * 512)
    assert not is_common("abcd" * 255 + "xyzzy-x9")
