"""What is allowed and may not be meant is said when serving begins; proxies' secrets, the old and the new."""

from __future__ import annotations

import logging

import pytest

from gateway.app import _warn
from gateway.settings.core import Settings
from gateway.web.proxies import FORWARDED_FOR, SECRET_HEADER
from gateway.wiring import trusted_peers
from tests.tools.deployment import deployment_of

QUIET = {"database_url": "postgresql://db/x", "open_registration": "false"}


def settings_of(**chosen: object) -> Settings:
    return deployment_of(**(QUIET | chosen)).settings


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        pytest.param("", {}, id="nothing"),
        pytest.param("blobs are kept in memory", {"store": "memory"}, id="in memory"),
        pytest.param(
            "every process of this machine is believed", {"trusted_proxies": "127.0.0.1/32"}, id="loopback"
        ),
        pytest.param("a very large network is believed", {"trusted_proxies": "10.0.0.0/8"}, id="large"),
        pytest.param("", {"trusted_proxies": "10.1.0.0/16"}, id="a network"),
        pytest.param("", {"trusted_proxies": "unix"}, id="a Unix socket"),
        pytest.param(
            "the hook is asked over plain http", {"hook_url": "http://hooks.example.com/"}, id="a hook elsewhere"
        ),
        pytest.param("", {"hook_url": "http://127.0.0.1:9/"}, id="a hook on this machine"),
        pytest.param("", {"hook_url": "https://hooks.example.com/"}, id="a hook over TLS"),
        pytest.param(
            "GATEWAY_MIN_FREE_BYTES is less",
            {"database_url": None, "min_free_bytes": 1024},
            id="little room beside a database",
        ),
        pytest.param(
            "registration is closed",
            {"open_registration": "auto", "host": "0.0.0.0"},
            id="registration closed by itself",
        ),
    ],
)  # fmt: skip
def test_what_may_not_be_meant_is_said_once(
    said: str, chosen: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        _warn(settings_of(**chosen))
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == bool(said)
    assert all(message.startswith(said) for message in messages)


@pytest.mark.parametrize(
    ("believed", "secret"),
    [
        pytest.param(True, "the-new-one", id="the present one"),
        pytest.param(True, "the-old-one", id="the one before"),
        pytest.param(False, "another", id="another"),
        pytest.param(False, "", id="none"),
        pytest.param(False, "the-new-one,the-old-one", id="both at once"),
    ],
)
def test_a_proxy_is_believed_by_the_present_secret_and_the_one_before(
    believed: bool, secret: str
) -> None:
    peers = trusted_peers(
        settings_of(trusted_proxy_secret="the-new-one", trusted_proxy_secret_previous="the-old-one")
    )
    headers = {FORWARDED_FOR: "192.0.2.1", SECRET_HEADER: secret}
    assert ("192.0.2.1" if believed else "198.51.100.7") == peers.client_of(headers, "198.51.100.7")


def test_a_previous_secret_alone_is_none_of_nothing() -> None:
    peers = trusted_peers(settings_of())
    headers = {FORWARDED_FOR: "192.0.2.1", SECRET_HEADER: ""}
    assert "198.51.100.7" == peers.client_of(headers, "198.51.100.7")
