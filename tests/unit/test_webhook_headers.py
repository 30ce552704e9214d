"""Headers of a webhook's own: which it may have, and when a receiver wants no more for a while."""

from __future__ import annotations

import pytest

from gateway.messaging.headers import check_headers
from gateway.messaging.posting import read_retry_after
from gateway.model.errors import Malformed

KNOWN = {"Authorization": "Bearer old"}


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({"Authorization": "Bearer new"}, {"Authorization": "Bearer new"}, id="new"),
        pytest.param(KNOWN, {"Authorization": None}, id="as it is"),
        pytest.param({"X-Key": "a\tb c~"}, {"X-Key": "a\tb c~"}, id="spaces within"),
        pytest.param({"Cookie": "a=b"}, {"Cookie": "a=b"}, id="a cookie"),
        pytest.param({"A": "b" * 1024}, {"A": "b" * 1024}, id="the longest"),
    ],
)
def test_a_header_that_a_webhook_may_have(expected: object, given: object) -> None:
    assert expected == check_headers(given, KNOWN)


@pytest.mark.parametrize(
    "given",
    [
        *([], "a: b", {"": "a"}, {"a b": "c"}, {"a:": "b"}, {"a\r\nb": "c"}, {"ä": "b"}),
        *({"a": ""}, {"a": " b"}, {"a": "b "}, {"a": "b\r\nc: d"}, {"a": "ä"}, {"a": 1}),
        *({"a": None}, {"a": ["b"]}, {"a": "b" * 1025}, {"a" * 65: "b"}, {"a": "\x00"}),
        *({"a": "b", "A": "c"}, {f"h{i}": "v" for i in range(17)}),
        {f"h{i}": "v" * 1024 for i in range(4)},
        *[
            {name: "a"}
            for name in (
                *("Host", "connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding"),
                *("Upgrade", "Proxy-Authorization", "Content-Length", "Content-Type", "Expect"),
                *("User-Agent", "Forwarded", "Via", "X-Forwarded-For", "X-Real-IP"),
                *("webhook-id", "Webhook-Signature", "X-Webhook-Event"),
                *("X-Filestore-Proxy-Secret", "X-Accel-Redirect", "Sec-Fetch-Site"),
            )
        ],
    ],
)
def test_a_header_that_a_webhook_may_not_have(given: object) -> None:
    with pytest.raises(Malformed):
        check_headers(given, KNOWN)


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        pytest.param(7.0, "7", id="seconds"),
        pytest.param(86_400.0, "999999999999999999999", id="for ever is a day"),
        pytest.param(30.0, "Thu, 01 Jan 1970 00:17:10 GMT", id="a date"),
        pytest.param(0.0, "Thu, 01 Jan 1970 00:00:10 GMT", id="a date that was"),
        pytest.param(86_400.0, "Thu, 01 Jan 2970 00:00:10 GMT", id="a date far away"),
        *[(0.0, value) for value in ("", "soon", "-1", "1.5", "٣", "99 Foo 0000 99:99:99 GMT")],
    ],
)
def test_when_to_come_back(expected: float, value: str) -> None:
    assert expected == read_retry_after(value, 1000.0)
