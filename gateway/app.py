"""The application: mounts the dialects, serves until told to stop, closes in reverse.

What it works with is opened in ``wiring``. Knows no dialect by its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
import resource
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Final

import orjson
from aiohttp import web

from gateway import __version__
from gateway.database.changes import listening, through
from gateway.database.embedded import MOST_LOG_BYTES
from gateway.database.pool import Database
from gateway.identity.secrets import dialect_key
from gateway.messaging.delivery import delivering
from gateway.model.change import ChangeListener, ChangeListeners, RightsChanged
from gateway.process.certificate import ServerCertificate
from gateway.process.datagrams import receiving
from gateway.process.garbage import short_collections
from gateway.process.logs import REQUEST_ID
from gateway.process.looplag import watching_loop
from gateway.settings.core import Settings
from gateway.settings.fastways import FastWay
from gateway.settings.secret import load_secrets
from gateway.settings.types import Network, is_foreign_http
from gateway.upkeep.loop import noting_uses, sweeping
from gateway.upkeep.scrub import scrubbing
from gateway.upkeep.sweep import SweepReport
from gateway.web import metrics
from gateway.web.addresses import PREFIX
from gateway.web.authentication import CALLERS, REACHES, RouteReach
from gateway.web.context import FILES, MESSAGING, QUOTAS, ROOM, WARD
from gateway.web.dialect import Dialect, DialectContext, Handler, Route
from gateway.web.downloads.context import DOWNLOADS
from gateway.web.downloads.fastpath import FastPath
from gateway.web.middleware import MIDDLEWARE, RequestMiddleware
from gateway.web.openapi.document import document
from gateway.web.operations import docs, health, root
from gateway.web.operations.described import DOCUMENTATION, OPERATIONS
from gateway.web.operations.nginx_log import count_line
from gateway.web.operations.operators import EVERYBODY, Operators
from gateway.web.operations.sampling import sampling
from gateway.web.server.acceptor import ceiling_of
from gateway.web.server.listen import HttpServer, listen
from gateway.web.server.options import Options
from gateway.web.uploads.body import expect_later
from gateway.web.uploads.context import UPLOADS
from gateway.wiring import (
    Deployment,
    Services,
    Stores,
    delivery_policy,
    direct_dsn,
    grace_periods,
    news_seconds,
    open_services,
    open_stores,
    operators_of,
    scrubber_on,
    told_of_traces,
)

# aiohttp's own pattern leaves braces out, which names may have.
_PARAMETER: Final = re.compile(r"\{([a-z_]+)\}")
_ANY: Final = r"{\1:[^/]+}"
_log: Final = logging.getLogger(__name__)
_MANY_PEERS: Final = 2**16


@contextlib.asynccontextmanager
async def open_app(
    deployment: Deployment,
    stores: Stores,
    readiness: health.Readiness,
    *,
    metrics_directory: str | None = None,
) -> AsyncIterator[web.Application]:
    """The application with its dialects at work, until the end of the block.

    Raises ``StartupFailed`` if a dialect finds that it could not serve.
    """
    settings, dialects = deployment.settings, deployment.dialects
    async with open_services(deployment, stores) as services, contextlib.AsyncExitStack() as stack:
        app = build_app(
            services,
            readiness,
            dialects,
            build=health.Build(settings.commit, settings.build_time),
            prefix=settings.prefix,
            log_requests=settings.access_log,
            most_requests=settings.max_concurrent_requests,
            metrics_directory=metrics_directory,
            operators=operators_of(settings),
        )
        contexts = [_context_of(dialect, app, deployment, stores) for dialect in dialects]
        for dialect, context in zip(dialects, contexts, strict=True):
            dialect.prepare(context)
            await dialect.check(context)
        for dialect, context in zip(dialects, contexts, strict=True):
            await stack.enter_async_context(dialect.serving(context))
        yield app


def _context_of(
    dialect: Dialect, app: web.Application, deployment: Deployment, stores: Stores
) -> DialectContext:
    secrets = [secret.encode() for secret in load_secrets(deployment.settings)]
    configured = deployment.configuration
    return DialectContext(
        app=app,
        group=None if dialect.settings is None else configured.group(dialect.settings),
        database=stores.messaging.database,
        hook_decides=deployment.settings.hook_url is not None,
        keys_for=lambda purpose: tuple(dialect_key(s, dialect.name, purpose) for s in secrets),
        grace_seconds=deployment.settings.garbage_grace_seconds,
    )


def build_app(
    services: Services,
    readiness: health.Readiness,
    dialects: Sequence[Dialect],
    *,
    build: health.Build,
    prefix: str,
    log_requests: bool,
    most_requests: int,
    metrics_directory: str | None,
    operators: Operators = EVERYBODY,
) -> web.Application:
    """The application: every dialect's routes, at the root and under ``prefix``."""
    owners: dict[web.AbstractRoute, Dialect] = {}
    middleware = RequestMiddleware(
        owners,
        dialects,
        cors=services.downloads.cors,
        proxies=services.callers.proxies,
        prefix=prefix,
        log_requests=log_requests,
        log_as=REQUEST_ID.set,
        most_requests=most_requests,
    )
    app = web.Application(middlewares=[middleware.run])
    _provide(app, services)
    app[MIDDLEWARE], app[PREFIX], app[REACHES] = middleware, prefix, {}
    app[health.BUILD] = build
    app.on_response_prepare.extend((services.downloads.cors.add, middleware.complete))
    for dialect in dialects:
        owners.update(dict.fromkeys(_mount_dialect(app, dialect, prefix), dialect))
    for route in root.routes(__version__):
        _mounted(app, route, prefix)
    for route in docs.routes(_document(tuple(dialects), prefix)):
        _mounted(app, replace(route, handler=operators.only(route.handler)), prefix)
    metrics.begin(__version__, build.commit)
    measured = operators.only(metrics.metrics_handler(metrics_directory))
    for outer in dict.fromkeys(("", prefix)):
        _observe(app.router, outer, build, health.ready_handler(readiness, operators), measured)
    return app


def _observe(
    router: web.UrlDispatcher, outer: str, build: health.Build, ready: Handler, measured: Handler
) -> None:
    router.add_get(f"{outer}/health", health.health_handler(build))
    router.add_get(f"{outer}/ready", ready)
    router.add_get(f"{outer}/metrics", measured)


def _provide(app: web.Application, services: Services) -> None:
    """What handlers find in the application."""
    app[CALLERS], app[MESSAGING] = services.callers, services.messaging
    app[FILES], app[UPLOADS] = services.files, services.uploads
    app[DOWNLOADS], app[ROOM] = services.downloads, services.room
    app[QUOTAS], app[WARD] = services.quotas, services.ward


def _mount_dialect(
    app: web.Application, dialect: Dialect, prefix: str
) -> Iterator[web.AbstractRoute]:
    """Every route of the dialect, as it was added."""
    words = [route.path for route in dialect.routes if "{" not in route.path]
    for route in _also_heads(dialect.routes):
        handler = announcing(route.handler) if route.alters_rights else route.handler
        handler = with_room(handler) if route.stores else handler
        mounted = replace(route, handler=handler)
        added = _mounted(app, mounted, prefix, words)
        if dialect.slashed and not route.path.endswith(("/", "}")):
            added += _mounted(app, replace(mounted, path=f"{route.path}/"), prefix)
        app[REACHES].update(dict.fromkeys(added, RouteReach(route.only_reads, route.entity)))
        yield from added


def _also_heads(routes: Sequence[Route]) -> Iterator[Route]:
    """These, and a HEAD for each GET (RFC 9110, 9.1): the same without its body."""
    heads = {route.path for route in routes if route.method == "HEAD"}
    for route in routes:
        yield route
        if route.method == "GET" and route.path not in heads:
            yield replace(route, method="HEAD")


def _mounted(
    app: web.Application, route: Route, prefix: str, words: Sequence[str] = ()
) -> list[web.AbstractRoute]:
    """The route at the root and, unless it is not to be, under the prefix.

    A path that ends in a parameter does not stand for those of ``words``, which are resources of
    their own, with methods of their own.
    """
    parent, _, last = route.path.rpartition("/")
    siblings = [word.removeprefix(f"{parent}/") for word in words if word.startswith(f"{parent}/")]
    others = "|".join(sorted(re.escape(word) for word in siblings if word and "/" not in word))
    if others and _PARAMETER.fullmatch(last):
        last = _PARAMETER.sub(rf"{{\1:(?!(?:{others})$)[^/]+}}", last)
    path = f"{_PARAMETER.sub(_ANY, parent)}/{_PARAMETER.sub(_ANY, last)}"
    paths = (path, prefix + path) if route.prefixed else (path,)
    return [
        app.router.add_route(route.method, path, route.handler, expect_handler=expect_later)
        for path in paths
    ]


@functools.lru_cache(maxsize=2)
def _document(dialects: tuple[Dialect, ...], prefix: str) -> bytes:
    """The OpenAPI document as it is sent, which follows from the code: a process writes it once."""
    return orjson.dumps(described(dialects, prefix))


def described(dialects: Sequence[Dialect], prefix: str) -> dict[str, object]:
    """The OpenAPI document of these dialects and of the service's own routes."""
    parts = [(dialect.name, dialect.description, True) for dialect in dialects]
    own = [("documentation", DOCUMENTATION, True), ("operations", OPERATIONS, False)]
    return document([*parts, *own], version=__version__, prefix=prefix)


def announcing(handler: Handler) -> Handler:
    """``handler``, answered once this process has heard from the database whose rights changed.

    Nobody is told of what was refused or failed; if it was committed all the same, that is heard
    here when it is heard everywhere.
    """

    async def announced(request: web.Request) -> web.StreamResponse:
        response, callers = await handler(request), request.app[CALLERS]
        if not await callers.news.caught_up():
            callers.listeners.on_change(RightsChanged())
        return response

    return announced


def with_room(handler: Handler) -> Handler:
    """``handler``, which is not asked while what is left on the disk is the database's own."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        await request.app[ROOM].check()
        return await handler(request)

    return guarded


async def serve(
    deployment: Deployment,
    dsn: str,
    sock: socket.socket,
    *,
    metrics_directory: str | None = None,
) -> None:
    """Serve on ``sock`` until SIGTERM or SIGINT, then drain and return.

    Raises ``StartupFailed`` with the reason if a start-up check fails.
    """
    settings, certificate = deployment.settings, certificate_of(deployment.settings)
    raise_descriptor_limit()
    async with told_of_traces(settings), open_stores(deployment, dsn) as stores:
        readiness = readiness_of(stores, settings)
        async with (
            open_app(deployment, stores, readiness, metrics_directory=metrics_directory) as app,
            delivering(
                stores.messaging.database,
                delivery_policy(settings),
                stores.messaging.secrets,
                observe=metrics.attempted,
                queued=stores.messaging.queued,
            ) as deliverer,
            _hearing(app, settings, dsn, stores.messaging.database, deliverer),
            sampling(stores.blobs, stores.messaging.database, stores.quarantine),
            noting_uses(stores.registry.keys),
            _nginx_told(settings),
            contextlib.nullcontext() if certificate is None else certificate.watching(),
            short_collections(metrics.open_connections),
            watching_loop(metrics.loop_late),
        ):
            _warn(settings)
            server = await start_server(app, deployment, sock, certificate)
            await _serve_until_told(server, app, stores, readiness, settings)


def _hearing(
    app: web.Application,
    settings: Settings,
    dsn: str,
    database: Database,
    deliverer: ChangeListener,
) -> contextlib.AbstractAsyncContextManager[None]:
    """Within the block everybody here hears what any gateway changes."""
    told = (app[CALLERS].listeners, deliverer, app[UPLOADS].under_way, app[DOWNLOADS].under_way)
    return listening(
        direct_dsn(settings, dsn),
        ChangeListeners(*told),
        announce=through(database),
        bound_seconds=news_seconds(settings),
        watch=metrics.echoed,
        news=app[CALLERS].news,
    )


def certificate_of(settings: Settings) -> ServerCertificate | None:
    """What TLS is served with, if it is. Raises ``ListenFailed`` if that cannot be used."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    by_kernel = FastWay.SENDFILE in settings.fast_ways
    return ServerCertificate(settings.tls_certificate, settings.tls_key, by_kernel=by_kernel)


def readiness_of(stores: Stores, settings: Settings) -> health.Readiness:
    """What has to answer: the database, and the disk; a store elsewhere is looked at, too."""
    name, shared = ("store", True) if settings.store == "s3" else ("disk", False)
    probes: dict[str, health.Probe] = {"database": stores.ledger.probe, name: stores.blobs.probe}
    of_all = frozenset({name}) if shared else frozenset[str]()
    return health.Readiness(probes, of_all, stores.quarantine.count)


def _warn(settings: Settings) -> None:
    """Say what is allowed and may not be meant."""
    if settings.store == "memory":
        _log.warning("blobs are kept in memory: they end with this process")
    if settings.open_registration == "auto" and not settings.registration_is_open:
        _log.info("registration is closed: not alone on loopback, GATEWAY_OPEN_REGISTRATION=auto")
    for peer in settings.trusted_proxies:
        if isinstance(peer, Network) and peer.is_loopback:
            _log.warning(
                "every process of this machine is believed as a proxy: use a Unix socket, or "
                "GATEWAY_TRUSTED_PROXY_SECRET instead",
                extra={"network": str(peer)},
            )
        elif isinstance(peer, Network) and peer.num_addresses > _MANY_PEERS:
            _log.warning("a very large network is believed", extra={"network": str(peer)})
    if settings.hook_url is not None and is_foreign_http(str(settings.hook_url)):
        _log.warning("the hook is asked over plain http: it is sent callers' credentials")
    if settings.database_url is None and settings.min_free_bytes < MOST_LOG_BYTES:
        _log.warning("GATEWAY_MIN_FREE_BYTES is less than what the embedded PostgreSQL may need")


async def _serve_until_told(
    server: HttpServer,
    app: web.Application,
    stores: Stores,
    readiness: health.Readiness,
    settings: Settings,
) -> None:
    stop, hurry = _stop_signals()
    scrubber = scrubber_on(app[WARD], stores, settings)
    async with (
        sweeping(
            stores.blobs,
            stores.ledger,
            stores.messaging,
            stores.registry,
            grace_periods(settings),
            interval_seconds=settings.sweep_interval_seconds,
            watch=_count_swept,
            elsewhere=metrics.swept_elsewhere,
        ),
        scrubbing(scrubber, every_days=settings.scrub_days),
    ):
        await stop.wait()
        readiness.draining = True
        _log.info("draining")
        draining = asyncio.create_task(_drain(server, app, settings.shutdown_seconds))
        if not await _ends_before(draining, hurry):
            _log.warning("told to hurry: what is under way is cut")
            await server.cut()


def _count_swept(report: SweepReport) -> None:
    metrics.swept(incoming=report.incoming, orphans=report.orphans, garbage=report.garbage)


def _nginx_told(settings: Settings) -> contextlib.AbstractAsyncContextManager[None]:
    """Count what nginx sends, if it is to tell."""
    if settings.nginx_log_socket is None:
        return contextlib.nullcontext()
    return receiving(settings.nginx_log_socket, count_line)


async def _drain(server: HttpServer, app: web.Application, seconds: float) -> None:
    """Let requests, and then commits, that are under way finish."""
    await server.stop()
    await app[FILES].drain(seconds)


async def _ends_before(work: asyncio.Task[None], event: asyncio.Event) -> bool:
    """Whether ``work`` ends before ``event`` is set; else it is cancelled. Raises what it does."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({work, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if work.done():
        await work
        return True
    work.cancel()
    await asyncio.wait({work})
    return False


def raise_descriptor_limit() -> None:
    """Take as many descriptors as the system grants: each device holds one, or two.

    Raises ``StartupFailed`` if they are too few to begin with.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    ceiling_of(most)


async def start_server(
    app: web.Application,
    deployment: Deployment,
    sock: socket.socket,
    certificate: ServerCertificate | None = None,
) -> HttpServer:
    """Listen. What cannot even be parsed is worded by the dialect of its path, if it has one.

    A hook is asked every time, so with one no response is given before there is a handler.
    """
    settings, send_at_once = deployment.settings, None
    ways = settings.fast_ways
    if settings.hook_url is None and FastWay.FAST_PATH in ways:
        send_at_once = FastPath(app[DOWNLOADS], app[MIDDLEWARE]).send
    options = Options(
        app[MIDDLEWARE].refuse_unparsed,
        keepalive_seconds=settings.keepalive_seconds,
        send_at_once=send_at_once,
        past_parser=FastWay.BYPASS in ways,
        on_change=lambda _, by: metrics.connections_changed(by),
        rounds=app[MIDDLEWARE].rounds,
        stop=app[MIDDLEWARE].stop,
    )
    return await listen(
        app,
        sock,
        options,
        shutdown_seconds=settings.shutdown_seconds,
        plain=FastWay.CONNECTION not in ways,
        most_of_one_address=settings.max_connections_per_address,
        is_proxy=app[CALLERS].proxies.is_proxy,
        tls=lambda: None if certificate is None else certificate.context,
    )


def _stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Set by the first SIGTERM or SIGINT, and by a SIGINT after that: a second Ctrl-C."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        (hurry if stop.is_set() else stop).set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    return stop, hurry
