"""What the product's own client asks for before and after it touches a file.

Versions, logging in and out, who one is, and settings, as far as that client reads them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs

from aiohttp import web

from gateway import __version__
from gateway.dialects.gravwell.credentials import user_of
from gateway.dialects.gravwell.settings import MAX_FILE_BYTES
from gateway.model.access import Principal
from gateway.model.errors import Malformed, Refusal, Unauthenticated
from gateway.web.authentication import CALLERS, bearer, credential, logging_in
from gateway.web.dialect import Route
from gateway.web.errors import MissingField, UnsupportedMedia
from gateway.web.operations.health import BUILD
from gateway.web.responses import json_reply
from gateway.web.uploads.body import read_small

_API_VERSION: Final = {"Major": 0, "Minor": 2}  # another one is "incompatible" to the client
_UNDATED: Final = "2026-01-01T00:00:00Z"
_FORM: Final = "application/x-www-form-urlencoded"
_LOGIN_FIELDS: Final = 8


class WrongPassword(Refusal):
    """No such user, or another password: at the log-in, and only there, that is a 422."""

    sentence = "invalid username or password"


async def version(request: web.Request) -> web.StreamResponse:
    """``GET /api/version``: of the API that is spoken, and of this gateway."""
    built = request.app[BUILD]
    major, minor, point = (int(part) for part in __version__.split(".")[:3])
    build = {"Major": major, "Minor": minor, "Point": point}
    dated = {"BuildDate": build_date(built.time), "BuildID": built.commit or __version__}
    return json_reply({"API": _API_VERSION, "Build": {**build, **dated}})


def build_date(said: str) -> str:
    """The time of the build as the client parses it (RFC 3339), in UTC if it names no zone.

    Nobody said it, or something else: the first day of the year in which this API came.
    """
    try:
        at = datetime.fromisoformat(said)
    except ValueError:
        return _UNDATED
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


async def test(_: web.Request) -> web.StreamResponse:
    """``GET /api/test``: whether there is anybody; 200."""
    return web.Response()


async def test_credential(request: web.Request) -> web.StreamResponse:
    """``GET /api/testauth``: whether the credential holds; 200."""
    await user_of(request)
    return web.Response()


async def log_in(request: web.Request) -> web.StreamResponse:
    """``POST /api/login``: a token for the form fields ``User``, an e-mail, and ``Pass``."""
    fields = await _login_fields(request)
    registry = request.app[CALLERS].registry
    try:
        async with logging_in(request, fields["User"]):
            token = await registry.users.log_in(fields["User"], fields["Pass"])
    except Unauthenticated as exc:
        raise WrongPassword() from exc
    return _logged_in(await registry.user_by_token(token), token)


async def refresh(request: web.Request) -> web.StreamResponse:
    """``GET /api/login/refreshtoken``: another token, for as long as a new log-in."""
    caller = await bearer(request)
    registry = request.app[CALLERS].registry
    return _logged_in(caller, await registry.renew(credential(request, "bearer")))


async def log_out(request: web.Request) -> web.StreamResponse:
    """``PUT /api/logout``: this session is over; 200."""
    await request.app[CALLERS].registry.log_out(credential(request, "bearer"))
    return web.Response()


async def log_out_everywhere(request: web.Request) -> web.StreamResponse:
    """``DELETE /api/logout``: every session of the caller is over; 200."""
    caller = await bearer(request)
    await request.app[CALLERS].registry.users.end_sessions(caller)
    return web.Response()


async def who_am_i(request: web.Request) -> web.StreamResponse:
    """``GET /api/info/whoami``: the caller and their groups, by number."""
    caller = await user_of(request)
    memberships = await request.app[CALLERS].registry.groups.memberships(caller)
    groups = [
        {"GID": m.number, "Name": m.name, "Desc": m.description, "Synced": False}
        for m in memberships
    ]
    return json_reply(
        {
            "UID": caller.number,
            "User": caller.email,
            "Name": caller.email,
            "Email": caller.email,
            "Admin": caller.is_admin,
            "Locked": False,
            "TS": _now(),
            "DefaultGID": groups[0]["GID"] if groups else 0,
            "Groups": groups,
        }
    )


async def settings(request: web.Request) -> web.StreamResponse:
    """``GET /api/settings``: what a client may want to know beforehand."""
    await user_of(request)
    return json_reply(
        {
            "MaxFileSize": request.app[MAX_FILE_BYTES],
            "MaxResourceSize": request.app[MAX_FILE_BYTES],
            "ServerTime": _now(),
            "ServerTimezone": "UTC",
            "ServerTimezoneOffset": 0,
        }
    )


def _logged_in(principal: Principal, token: str) -> web.Response:
    return json_reply(
        {
            "LoginStatus": True,
            "Reason": "",
            "Admin": principal.is_admin,
            "JWT": token,
            "MFARequired": False,
            "MFASetupRequired": False,
        }
    )


async def _login_fields(request: web.Request) -> dict[str, str]:
    """``User`` and ``Pass``. Raises ``UnsupportedMedia``, ``Malformed``, ``MissingField``."""
    if request.content_type != _FORM:
        raise UnsupportedMedia()
    body = await read_small(request)
    try:
        given = parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_LOGIN_FIELDS,
            errors="strict",
        )
    except ValueError as exc:
        raise Malformed("malformed form") from exc
    fields = {name: values[0] for name, values in given.items() if len(values) == 1}
    for name in ("User", "Pass"):
        if name not in fields:
            raise MissingField("field", name)
    return fields


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


ROUTES: Final = (
    Route("GET", "/api/version", version),
    Route("GET", "/api/test", test),
    Route("GET", "/api/testauth", test_credential),
    Route("POST", "/api/login", log_in, needs_room=False),
    Route("GET", "/api/login/refreshtoken", refresh),
    Route("PUT", "/api/logout", log_out, alters_rights=True, needs_room=False),
    Route("DELETE", "/api/logout", log_out_everywhere, alters_rights=True),
    Route("GET", "/api/info/whoami", who_am_i),
    Route("GET", "/api/settings", settings),
)
