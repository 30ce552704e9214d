"""What a page of another origin is told, for every form of the setting."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.web.cors import CorsPolicy

PAGE = "https://console.example.com"
OTHER = "https://evil.example.com"
ALLOW = "Access-Control-Allow-Origin"
CREDENTIALS = "Access-Control-Allow-Credentials"
EXPOSE = "Access-Control-Expose-Headers"


def told(policy: CorsPolicy, origin: str | None) -> dict[str, str]:
    """All headers of a response, but for the list of what is exposed, which is only there or not."""
    found = {**policy.always, **policy.headers_for(origin)}
    return {name: "..." if name == EXPOSE else value for name, value in found.items()}


ANYBODY = {ALLOW: "*"}
NAMED = {ALLOW: PAGE, CREDENTIALS: "true", EXPOSE: "...", "Vary": "Origin"}
TOLD: dict[str, tuple[Mapping[str, str], tuple[str, ...], str | None]] = {
    "any, a page": ({**ANYBODY, EXPOSE: "..."}, ("*",), PAGE),
    "any, a file": ({**ANYBODY, EXPOSE: "..."}, ("*",), "null"),
    "any, a device": (ANYBODY, ("*",), None),
    "named, the one": (NAMED, (PAGE, "http://b"), PAGE),
    "named, another": ({"Vary": "Origin"}, (PAGE, "http://b"), OTHER),
    "named, a longer one": ({"Vary": "Origin"}, (PAGE,), f"{PAGE}.evil.com"),
    "named, no page": ({"Vary": "Origin"}, (PAGE,), "null"),
    "named, a device": ({"Vary": "Origin"}, (PAGE,), None),
    "off, a page": ({}, ("off",), PAGE),
    "off, one called so": ({}, ("off",), "off"),
    "nothing, a page": ({}, (), PAGE),
}


@pytest.mark.parametrize(("expected", "origins", "origin"), TOLD.values(), ids=TOLD)
def test_a_response_says_who_may_read_it(
    expected: Mapping[str, str], origins: tuple[str, ...], origin: str | None
) -> None:
    assert expected == told(CorsPolicy(origins), origin)


ASKED = {"Origin": PAGE, "Access-Control-Request-Method": "PUT"}
PREFLIGHTS: dict[str, tuple[bool, tuple[str, ...], str, Mapping[str, str]]] = {
    "any": (True, ("*",), "OPTIONS", ASKED),
    "named": (True, (PAGE,), "OPTIONS", ASKED),
    "another": (False, (PAGE,), "OPTIONS", {**ASKED, "Origin": OTHER}),
    "off": (False, ("off",), "OPTIONS", ASKED),
    "not of a page": (False, ("*",), "OPTIONS", {"Access-Control-Request-Method": "PUT"}),
    "about nothing": (False, ("*",), "OPTIONS", {"Origin": PAGE}),
    "another method": (False, ("*",), "GET", ASKED),
}


@pytest.mark.parametrize(
    ("expected", "origins", "method", "headers"), PREFLIGHTS.values(), ids=PREFLIGHTS
)
def test_only_a_preflight_of_an_allowed_origin_is_answered_as_one(
    expected: bool, origins: tuple[str, ...], method: str, headers: Mapping[str, str]
) -> None:
    request = make_mocked_request(method, "/things", headers=headers)
    assert expected == (CorsPolicy(origins).preflight(request) is not None)


@pytest.mark.parametrize(
    ("star", "origins"), [(True, ("*",)), (False, (PAGE,))], ids=["any", "named"]
)
def test_what_may_be_sent_is_listed(star: bool, origins: tuple[str, ...]) -> None:
    """Authorization by its name, for * does not cover it; and no * where it would be a name."""
    request = make_mocked_request("OPTIONS", "/things", headers=ASKED)
    answer = CorsPolicy(origins, ["X-Of-A-Dialect"]).preflight(request)
    assert answer is not None
    listed = answer.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Content-Type", "Range", "If-None-Match", "X-Of-A-Dialect"} <= {
        *listed
    }
    assert star == ("*" in listed)
    assert len(listed) == len({name.lower() for name in listed})
    assert {"PUT", "PATCH", "DELETE"} <= {
        *answer.headers["Access-Control-Allow-Methods"].split(", ")
    }
