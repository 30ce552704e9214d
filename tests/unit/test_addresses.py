"""Absolute addresses: as the client wrote them, and as trusted proxies say it did."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from gateway.model.errors import Malformed
from gateway.web.addresses import PREFIX, absolute_url
from gateway.web.authentication import CALLERS, Callers
from gateway.web.proxies import TrustedPeers

SECRET = "of the proxy"
TRUSTED = {"X-Filestore-Proxy-Secret": SECRET}


def asked(path: str, prefix: str = "/filestore", **headers: str) -> web.Request:
    app = web.Application()
    app[CALLERS] = cast(Callers, SimpleNamespace(proxies=TrustedPeers((), SECRET)))
    app[PREFIX] = prefix
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_mocked_request("GET", path, {"Host": "gateway.test:8080", **named}, app=app)


CASES: dict[str, tuple[str, web.Request]] = {
    "at the root": ("http://gateway.test:8080/x", asked("/a")),
    "under the prefix": ("http://gateway.test:8080/filestore/x", asked("/filestore/a")),
    "beside the prefix": ("http://gateway.test:8080/x", asked("/filestores/a")),
    "without a prefix": ("http://gateway.test:8080/x", asked("/filestore/a", "")),
    "an address of IPv6": ("http://[::1]:8080/x", asked("/a", Host="[::1]:8080")),
    "nobody's word for it": (
        "http://gateway.test:8080/x",
        asked("/a", X_Forwarded_Proto="https", X_Forwarded_Host="evil.test"),
    ),
    "a proxy's word": (
        "https://files.test/filestore/x",
        asked("/filestore/a", X_Forwarded_Proto="https", X_Forwarded_Host="files.test", **TRUSTED),
    ),
    "the outermost of two proxies'": (
        "https://files.test/x",
        asked(
            "/a",
            X_Forwarded_Proto="https, http",
            X_Forwarded_Host="files.test, inner.test",
            **TRUSTED,
        ),
    ),
    "a proxy that takes a prefix away": (
        "http://gateway.test:8080/outer/filestore/x",
        asked("/filestore/a", X_Forwarded_Prefix="/outer/", **TRUSTED),
    ),
    "a proxy that says nothing": ("http://gateway.test:8080/x", asked("/a", **TRUSTED)),
}


@pytest.mark.parametrize(("expected", "request_"), CASES.values(), ids=CASES)
def test_an_address_is_as_the_client_would_write_it(expected: str, request_: web.Request) -> None:
    assert expected == absolute_url(request_, "/x")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Host": "a b"}, id="a host with a space"),
        pytest.param({"Host": 'a">'}, id="a host that breaks out"),
        pytest.param({"Host": ""}, id="no host"),
        pytest.param({**TRUSTED, "X-Forwarded-Proto": "javascript"}, id="another scheme"),
        pytest.param({**TRUSTED, "X-Forwarded-Host": "evil.test/x?"}, id="a host with a path"),
        pytest.param({**TRUSTED, "X-Forwarded-Prefix": "//evil.test"}, id="a prefix with a host"),
    ],
)
def test_what_cannot_be_written_down_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        absolute_url(asked("/a", **headers), "/x")
