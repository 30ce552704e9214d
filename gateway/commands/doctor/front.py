"""A proxy in front, tried from outside by its address."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

from gateway.commands.doctor.line import Line, fail, ok, warn
from gateway.commands.doctor.machine import health_of
from gateway.http_client import http_client
from gateway.settings.core import Settings

_ABOUT: Final = "proxy"
_MOST_SECONDS: Final = 2.0
_PRIVATE: Final = ("/metrics", "/ready")


@dataclass(frozen=True, slots=True)
class Trial:
    """The address from outside, and a file that may be asked for with this credential."""

    url: str
    credential: str | None
    path: str | None


async def front_lines(settings: Settings, trial: Trial) -> list[Line]:
    """Whether the gateway can be reached there, and only as it should be."""
    url = trial.url.rstrip("/")
    try:
        async with http_client(aiohttp.TCPConnector(), timeout_seconds=10) as client:
            version = await health_of(client, url)
            if version is None:
                advice = "the proxy has to pass everything to the gateway: deploy/nginx/"
                return [fail(_ABOUT, f"{url}/health is not answered by a gateway", advice)]
            lines = [ok(_ABOUT, f"{url} leads to a gateway, version {version}")]
            lines += await _hidden(client, url)
            lines.append(await _prefix(client, url, settings.prefix))
            if settings.accel:
                lines.append(await _internal(client, url, settings.accel))
            if trial.path and trial.credential:
                lines.append(await _range(client, url, trial.path, trial.credential))
            return lines
    except (OSError, TimeoutError, aiohttp.ClientError, ValueError) as exc:
        why = str(exc) or "no answer in time"
        return [fail(_ABOUT, f"{url}: {why}", "start the proxy, and look at its error log")]


async def _status_of(
    client: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    async with client.get(url, headers=headers, allow_redirects=False) as answer:
        return answer.status, answer.headers, await answer.content.read(4096)


async def _hidden(client: aiohttp.ClientSession, url: str) -> list[Line]:
    seen = [path for path in _PRIVATE if (await _status_of(client, url + path))[0] == 200]
    if not seen:
        return [ok(_ABOUT, "/metrics and /ready are not shown outside")]
    advice = "refuse them in the proxy, as deploy/nginx/ does"
    return [warn(_ABOUT, f"{' and '.join(seen)} can be read from outside", advice)]


async def _prefix(client: aiohttp.ClientSession, url: str, prefix: str) -> Line:
    """The list of files has to ask for a credential, and the clock is in its answer."""
    status, headers, _ = await _status_of(client, f"{url}{prefix}/files")
    if status not in (401, 403):
        advice = "pass the path through unchanged, with its prefix (GATEWAY_PREFIX)"
        return fail(_ABOUT, f"{prefix}/files is answered with {status}, not 401", advice)
    ahead = _seconds_ahead(headers.get("Date", ""))
    if abs(ahead) > _MOST_SECONDS:
        found = f"its clock is {ahead:+.0f} s from this machine's"
        return warn(_ABOUT, found, "let both keep time by NTP")
    return ok(_ABOUT, f"{prefix or '/'} is passed through")


def _seconds_ahead(date: str) -> float:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp() - time.time()
    except (TypeError, ValueError):
        return 0.0


async def _internal(client: aiohttp.ClientSession, url: str, accel: str) -> Line:
    status, _, _ = await _status_of(client, f"{url}{accel}/")
    if status == 404:
        return ok(_ABOUT, f"{accel} is internal")
    advice = f"the location {accel} must be `internal`: blobs need no credential there"
    return fail(_ABOUT, f"{accel}/ is answered with {status} from outside", advice)


async def _range(client: aiohttp.ClientSession, url: str, path: str, credential: str) -> Line:
    """A byte of a file, which with X-Accel nginx has to send."""
    asked = {"Authorization": credential, "Range": "bytes=0-0"}
    status, headers, body = await _status_of(client, url + path, asked)
    if "X-Accel-Redirect" in headers:
        advice = "the proxy has to act on X-Accel-Redirect: deploy/nginx/, or GATEWAY_ACCEL=off"
        return fail(_ABOUT, "X-Accel-Redirect comes through: no bytes are sent", advice)
    if (status, len(body)) != (206, 1):
        found = f"the first byte of {path} is answered with {status} and {len(body)} bytes"
        return fail(_ABOUT, found, "try the same at the gateway's own port, without the proxy")
    return ok(_ABOUT, f"the first byte of {path} comes, with {status}")
