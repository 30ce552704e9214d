"""The machine: secret, disk, port, descriptors."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from typing import Final

import aiohttp

from gateway.blobs.disk.examine import DiskFacts, examine_disk
from gateway.commands.doctor.line import Line, fail, ok, warn
from gateway.http_client import http_client
from gateway.process.supervisor import ListenFailed, bind
from gateway.process.terminal import size_text
from gateway.settings.core import Settings
from gateway.settings.secret import ABSENT, secret_problem
from gateway.web.server.acceptor import LEAST_DESCRIPTORS

_FEW_DESCRIPTORS: Final = 4096
_SLOW_SYNC_SECONDS: Final = 0.5
_UNIX: Final = "unix:"
_PORT: Final = "port"
_DISK: Final = "disk"


def secret_line(settings: Settings) -> Line:
    """Whether there is a secret that nobody else can read."""
    about = "secret"
    if settings.secret is not None:
        return ok(about, "set by GATEWAY_SECRET")
    file = settings.data_dir / "secret"
    problem = secret_problem(settings)
    if problem is None:
        return ok(about, f"{file}, for its owner only")
    if problem == ABSENT:
        return warn(about, f"{file} is not there", "the first `serve` makes it; else restore it")
    return fail(about, f"{file} {problem}", "chmod 600 it, and run as the gateway's user")


def disk_lines(settings: Settings) -> Iterator[Line]:
    """Whether blobs can be kept in the data directory."""
    facts = examine_disk(settings.data_dir)
    if facts.error:
        advice = "run as the gateway's user; it has to own DATA_DIR and all that is in it"
        yield fail(_DISK, f"{settings.data_dir}: {facts.error}", advice)
        return
    if facts.absent:
        yield warn(_DISK, f"{settings.data_dir} is not there", "the first `serve` makes it")
        return
    yield _room(settings, facts)
    if not facts.linkable:
        advice = "put DATA_DIR/incoming and DATA_DIR/blobs on one file system"
        yield fail(_DISK, "a file cannot be linked from incoming to blobs", advice)
    if facts.foreign:
        advice = f"chown it to user {facts.owner}, whose DATA_DIR is"
        yield warn(_DISK, f"{facts.foreign} belongs to another user", advice)
    yield _sync(facts)


def _room(settings: Settings, facts: DiskFacts) -> Line:
    found = f"{size_text(facts.free_bytes)} free, {size_text(settings.min_free_bytes)} kept free"
    if facts.free_bytes < settings.min_free_bytes:
        return fail(_DISK, found, "uploads get 507: make room, or lower GATEWAY_MIN_FREE_BYTES")
    if facts.free_bytes < 2 * settings.min_free_bytes:
        return warn(_DISK, found, "uploads will soon get 507: make room")
    return ok(_DISK, found)


def _sync(facts: DiskFacts) -> Line:
    found = f"a sync takes {1000 * facts.sync_seconds:.0f} ms"
    if facts.sync_seconds > _SLOW_SYNC_SECONDS:
        return warn(_DISK, found, "every upload waits for two of them: a faster disk helps most")
    return ok(_DISK, found)


async def port_line(settings: Settings) -> Line:
    """Whether the port is free, or a gateway answers on it."""
    place = settings.host if settings.host.startswith(_UNIX) else f"port {settings.port}"
    if version := await _gateway_on(settings):
        return ok(_PORT, f"a gateway answers on {place}, version {version}")
    if settings.host.startswith(_UNIX):
        return ok(_PORT, f"nobody answers on {place}")
    try:
        bind(settings.host, settings.port).close()
    except ListenFailed as exc:
        cause = exc.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
            return fail(_PORT, f"{place} is taken by something else", "set another GATEWAY_PORT")
        return fail(_PORT, str(exc), "mend GATEWAY_HOST and GATEWAY_PORT")
    except OSError as exc:
        return fail(_PORT, str(exc), "mend GATEWAY_HOST and GATEWAY_PORT")
    return ok(_PORT, f"{place} is free")


async def _gateway_on(settings: Settings) -> str | None:
    """The version of the gateway that answers there, if one does."""
    host = settings.host
    connector: aiohttp.BaseConnector
    if host.startswith(_UNIX):
        connector, url = aiohttp.UnixConnector(host.removeprefix(_UNIX)), "http://localhost"
    else:
        connector = aiohttp.TCPConnector()
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - not bound
        url = f"http://{f'[{shown}]' if shown.count(':') > 1 and shown[0] != '[' else shown}"
        url += f":{settings.port}"
    try:
        async with http_client(connector, timeout_seconds=5) as client:
            return await health_of(client, url)
    except (OSError, TimeoutError, aiohttp.ClientError, ValueError):
        return None


async def health_of(client: aiohttp.ClientSession, url: str) -> str | None:
    """The version that ``/health`` names there; ``None`` if that is no gateway's answer.

    Raises ``aiohttp.ClientError``, ``OSError``, ``TimeoutError``.
    """
    async with client.get(f"{url}/health", allow_redirects=False) as answer:
        try:
            body = await answer.json(content_type=None)
        except ValueError:
            return None
    known = isinstance(body, dict) and body.get("description") == "filestore service"
    return str(body.get("version")) if known else None


def descriptor_line() -> Line:
    """Whether this shell's limit is enough; a service has its own."""
    about = "descriptors"
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{most} may be open at once here; a client takes one, or two"
    if most < LEAST_DESCRIPTORS:
        return fail(about, found, f"{LEAST_DESCRIPTORS} at least: ulimit -n, or LimitNOFILE=")
    if most < _FEW_DESCRIPTORS:
        return warn(about, found, "for a fleet: ulimit -n, or LimitNOFILE= in the unit")
    return ok(about, found)
