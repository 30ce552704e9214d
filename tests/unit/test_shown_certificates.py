"""A certificate is somebody's only if a trusted proxy says that it has verified it."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.web.certificates import VERIFY_HEADER, presented_certificate, shown_beside
from gateway.web.proxies import SECRET_HEADER, TrustedPeers
from tests.tools.certificates import Authority, Issued

SECRET = "between-the-proxy-and-us"


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Issued:
    return Authority(tmp_path_factory.mktemp("authority")).issue("device")


@pytest.mark.parametrize(
    ("believed", "changed"),
    [
        pytest.param(True, {SECRET_HEADER: SECRET}, id="a trusted proxy"),
        pytest.param(False, {}, id="a stranger says so"),
        pytest.param(False, {SECRET_HEADER: "guessed"}, id="a stranger who guesses the secret"),
        pytest.param(
            False, {SECRET_HEADER: SECRET, VERIFY_HEADER: "FAILED:expired"}, id="not verified"
        ),
        pytest.param(False, {SECRET_HEADER: SECRET, VERIFY_HEADER: "NONE"}, id="none was shown"),
    ],
)
def test_who_may_say_that_a_certificate_was_verified(
    issued: Issued, believed: bool, changed: dict[str, str]
) -> None:
    request = make_mocked_request("GET", "/files/a", headers={**issued.headers, **changed})
    peers = TrustedPeers((), SECRET)
    found = presented_certificate(request, peers)
    assert believed == (found is not None)
    trusted = SECRET_HEADER in changed and changed[SECRET_HEADER] == SECRET
    assert trusted == bool(shown_beside(request, peers))


def test_the_fingerprint_is_that_of_the_whole_certificate(issued: Issued) -> None:
    headers = {**issued.headers, SECRET_HEADER: SECRET}
    request = make_mocked_request("GET", "/files/a", headers=headers)
    found = presented_certificate(request, TrustedPeers((), SECRET))
    assert found is not None
    assert issued.sha256 == found.sha256.hex()
