"""Which URLs may be named, and which addresses are public."""

from __future__ import annotations

import pytest

from gateway.messaging.targets import Target, TargetRules, is_public, parse_target
from gateway.model.errors import Malformed


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        pytest.param("https://api.test.com/", "api.test.com", 443, id="https"),
        pytest.param("http://api.test.com", "api.test.com", 80, id="http"),
        pytest.param("https://API.test.com:8443/a?b=c", "api.test.com", 8443, id="port"),
        pytest.param("http://[2001:db8::1]:80/", "2001:db8::1", 80, id="IPv6"),
        pytest.param("http://2130706433/", "2130706433", 80, id="a number is for the resolver"),
    ],
)
def test_a_target_is_parsed(url: str, host: str, port: int) -> None:
    assert Target(url, host, port) == parse_target(url)


@pytest.mark.parametrize(
    "url",
    [
        *(None, 7, "", "api.test.com", "//api.test.com", "ftp://api.test.com", "file:///etc/passwd"),
        *("http://", "http:///path", "http://:80/", "http://user@api.test.com/", "http://a:b@c/"),
        *("http://a.test:0/", "http://a.test:99999/", "http://a.test:x/", "http://[::1/", "http://[::1]x/"),
        *("http://a.test/#part", "http://a.test/ b", "http://a.test\\@b/", "http://a.test/\r\nX: y"),
        *("http://ä.test/", "http://[fe80::1%25eth0]/", "http://a%2eb/", "http://a.test/" + "x" * 2048),
        *("gopher://a.test/", "javascript:alert(1)", "http://a.test\t/"),
    ],
)  # fmt: skip
def test_what_is_no_target_is_refused(url: object) -> None:
    with pytest.raises(Malformed):
        parse_target(url)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "192.167.0.1", "11.0.0.1", "100.128.0.1", "2606:4700::1111",
     "64:ff9b::808:808", "2002:808:808::1"],
)  # fmt: skip
def test_a_public_address(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1"),
        *("203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "fe80::1", "fe80::1%lo", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1"),
        *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::1", "2002:a00:1::1"),
        *("2001:0:a00:1::1", "100::1", "3fff::1", "5f00::1"),
    ],
)  # fmt: skip
def test_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["localhost", "2130706433", "0x7f.1", "127.1", ""])
def test_what_is_no_address_raises(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        is_public(address)


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        pytest.param(True, "http://erp.example.com/in", id="the host"),
        pytest.param(True, "https://ERP.example.com.:8443/", id="another port, case and a dot"),
        pytest.param(True, "http://a.b.example.org/", id="below a wildcard"),
        pytest.param(False, "http://example.org/", id="the wildcard's own"),
        pytest.param(False, "http://example.com/", id="above the host"),
        pytest.param(False, "http://erp.example.com.evil.test/", id="a longer name"),
        pytest.param(False, "http://notexample.org/", id="no dot"),
        pytest.param(False, "http://8.8.8.8/", id="an address"),
    ],
)
def test_a_list_of_hosts_is_the_last_word(allowed: bool, url: str) -> None:
    rules = TargetRules(hosts=("erp.example.com", "*.example.org"))
    assert allowed == rules.allows(parse_target(url).host)
    if allowed:
        rules.check(parse_target(url))
        return
    with pytest.raises(Malformed, match="host"):
        rules.check(parse_target(url))


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "a.localhost", "127.1", "0x7f.1", "[::1]"]
)
def test_what_is_plainly_of_the_inside_is_refused_unless_it_is_allowed(host: str) -> None:
    target = parse_target(f"http://{host}/")
    with pytest.raises(Malformed, match="public"):
        TargetRules().check(target)
    TargetRules(private=True).check(target)
