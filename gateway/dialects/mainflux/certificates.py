"""Certificates that a thing is known by: bind, list, unbind. Not among the published routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gateway.dialects.mainflux.fields import entity_id, path_id, read_object, text_of
from gateway.identity.certificates import Binding, Certificates
from gateway.model.certificate import check_subject, parse_fingerprint
from gateway.model.errors import Malformed
from gateway.web.authentication import CALLERS, bearer
from gateway.web.certificates import certificate_of_pem
from gateway.web.dialect import Route
from gateway.web.responses import empty_reply, json_reply

_USES: Final = ("key", "alone")
_NAMES: Final = ("sha256", "certificate", "subject")


async def bind(request: web.Request) -> web.StreamResponse:
    """``POST /things/{id}/certificates``: by ``sha256``, ``certificate`` or ``subject``; 201."""
    caller, thing = await bearer(request), path_id(request)
    body = await read_object(request)
    use = text_of(body, "use") or "key"
    if use not in _USES:
        raise Malformed("use is key, beside the thing's key, or alone")
    bound = await _certificates(request).bind(caller, thing, alone=use == "alone", **_named(body))
    return json_reply(_shown(bound), 201)


async def list_all(request: web.Request) -> web.StreamResponse:
    """``GET /things/{id}/certificates``: all, which are 16 at most; 200."""
    caller = await bearer(request)
    bound = await _certificates(request).list(caller, path_id(request))
    return json_reply({"certificates": [_shown(each) for each in bound]})


async def unbind(request: web.Request) -> web.StreamResponse:
    """``DELETE /things/{id}/certificates/{certificate}``: 204."""
    caller, binding = await bearer(request), entity_id(request.match_info["certificate"])
    await _certificates(request).unbind(caller, path_id(request), binding)
    return empty_reply(204)


def _named(body: Mapping[str, Any]) -> dict[str, Any]:
    """By what the certificate is named, which is one thing."""
    given = {name: text for name in _NAMES if (text := text_of(body, name))}
    if len(given) != 1:
        raise Malformed("one of sha256, certificate and subject is needed")
    [(name, text)] = given.items()
    if name == "subject":
        return {"subject": check_subject(text)}
    if name == "certificate":
        return {"sha256": certificate_of_pem(text).sha256}
    return {"sha256": parse_fingerprint(text)}


def _shown(bound: Binding) -> Mapping[str, object]:
    named = {"subject": bound.subject} if bound.sha256 is None else {"sha256": bound.sha256.hex()}
    return {
        "id": str(bound.id),
        "thing_id": str(bound.thing_id),
        **named,
        "use": _USES[bound.alone],
        "confirmed": bound.confirmed,
    }


def _certificates(request: web.Request) -> Certificates:
    return request.app[CALLERS].registry.certificates


ROUTES: Final = (
    Route("POST", "/things/{id}/certificates", bind),
    Route("GET", "/things/{id}/certificates", list_all),
    Route("DELETE", "/things/{id}/certificates/{certificate}", unbind),
)
