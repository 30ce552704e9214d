"""Composition: the only place where concrete classes meet.

Opens the adapters, mounts the dialects, serves until told to stop, closes in reverse.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway import __version__
from gateway.blobs.port import BlobReader, BlobStore
from gateway.catalogue.postgres import PostgresCatalogue
from gateway.database.changes import listening
from gateway.database.pool import open_database
from gateway.dialects import DIALECTS, sql_folders
from gateway.dialects.hasura.policy import POLICY, Policy
from gateway.filestore import Filestore
from gateway.identity.decisions import open_hook
from gateway.identity.registry import Registry, open_registry
from gateway.messaging.delivery import delivering
from gateway.messaging.service import Messaging, messaging_on
from gateway.model.change import ChangeListeners, RightsChanged
from gateway.process.logs import REQUEST_ID
from gateway.settings.core import Settings
from gateway.settings.fastways import FastWay
from gateway.settings.secret import load_secret
from gateway.traffic.bandwidth import bandwidth_of
from gateway.traffic.credentials import PrincipalCache
from gateway.traffic.limits import ConcurrencyLimit
from gateway.traffic.resolved import ReadCache
from gateway.traffic.resumes import ResumeGuard
from gateway.upkeep.loop import sweeping
from gateway.web import metrics
from gateway.web.context import GATEWAY, Gateway, Limits
from gateway.web.dialect import Dialect, Handler
from gateway.web.downloads.fastpath import FastPath
from gateway.web.middleware import MIDDLEWARE, RequestMiddleware
from gateway.web.openapi.document import document
from gateway.web.operations import docs, health
from gateway.web.operations.described import DOCUMENTATION, OPERATIONS
from gateway.web.proxies import TrustedPeers
from gateway.web.rendering import error_response
from gateway.web.server.listen import HttpServer, listen
from gateway.web.server.stall import StallWatch
from gateway.web.uploads.body import expect_later
from gateway.wiring import delivery_policy, open_blobs

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stores:
    """Bytes and rows, open."""

    blobs: BlobStore
    catalogue: PostgresCatalogue
    registry: Registry
    messaging: Messaging


@contextlib.asynccontextmanager
async def open_stores(settings: Settings, dsn: str) -> AsyncIterator[Stores]:
    """The adapters that the service and the upkeep commands share."""
    async with (
        open_blobs(settings) as blobs,
        open_database(
            dsn,
            sql_folders(),
            connections=settings.database_connections,
            wait_seconds=settings.database_wait_seconds,
        ) as database,
        open_registry(
            database,
            load_secret(settings).encode(),
            open_registration=settings.open_registration,
            token_seconds=settings.token_seconds,
            grace_seconds=settings.garbage_grace_seconds,
        ) as registry,
    ):
        catalogue = PostgresCatalogue(
            database, garbage_grace_seconds=settings.garbage_grace_seconds
        )
        messaging = messaging_on(
            database,
            retention_days=settings.message_retention_days,
            dead_letter_days=settings.webhook_dead_letter_days,
            private_targets=settings.webhook_private_targets,
        )
        yield Stores(blobs, catalogue, registry, messaging)


@contextlib.asynccontextmanager
async def open_gateway(settings: Settings, stores: Stores) -> AsyncIterator[Gateway]:
    """What handlers work with."""
    reads = ReadCache[BlobReader](
        seconds=seconds_of(settings, FastWay.READ_CACHE), entries=settings.read_cache_entries
    )
    principals = PrincipalCache(
        seconds=seconds_of(settings, FastWay.CREDENTIAL_CACHE), entries=settings.read_cache_entries
    )
    audience = ChangeListeners(reads, principals)
    async with open_hook(
        settings.hook_url,
        timeout_seconds=settings.hook_timeout_seconds,
        cache_seconds=settings.hook_cache_seconds,
    ) as hook:
        yield Gateway(
            files=Filestore(stores.blobs, stores.catalogue, hook, audience),
            registry=stores.registry,
            messaging=stores.messaging,
            hook=hook,
            limits=limits_of(settings),
            peers=trusted_peers(settings),
            uploads=ConcurrencyLimit(settings.max_concurrent_uploads),
            stalls=StallWatch(settings.download_stall_seconds, metrics.stalled.inc),
            reads=reads,
            downloads=ResumeGuard(remembered_downloads(settings)),
            principals=principals,
            audience=audience,
            accel=settings.accel,
            edge_seconds=settings.edge_seconds,
            store_md5=settings.md5,
            allowed_extensions=frozenset(settings.allowed_extensions),
            bandwidth=bandwidth_of(
                device_rate=settings.device_bytes_per_second,
                group_rate=settings.group_bytes_per_second,
            ),
            ways=settings.fast_ways,
        )


def seconds_of(settings: Settings, cache: FastWay) -> float:
    """For how long this cache keeps what it learnt; 0 keeps nothing."""
    return settings.read_cache_seconds if cache in settings.fast_ways else 0.0


def limits_of(settings: Settings) -> Limits:
    """The settings that bound a request."""
    return Limits(
        file_bytes=settings.max_file_bytes,
        stall_seconds=settings.stall_seconds,
        min_upload_bytes_per_second=settings.min_upload_bytes_per_second,
    )


def remembered_downloads(settings: Settings) -> int:
    """How many unfinished downloads to remember.

    None beside other workers: who begins anew at one of them must not be refused by another.
    """
    return settings.unfinished_entries if settings.workers == 1 else 0


def trusted_peers(settings: Settings) -> TrustedPeers:
    """The proxies that may speak for their clients."""
    secret = settings.trusted_proxy_secret
    return TrustedPeers(
        (str(peer) for peer in settings.trusted_proxies),
        secret.get_secret_value() if secret is not None else None,
    )


def build_app(
    gateway: Gateway,
    readiness: health.Readiness,
    *,
    prefix: str,
    log_requests: bool = True,
    most_requests: int = 20_000,
    metrics_directory: str | None = None,
    dialects: Sequence[Dialect] = DIALECTS,
) -> web.Application:
    """The application: every dialect's routes, at the root and under ``prefix``."""
    owners: dict[web.AbstractRoute, Dialect] = {}
    frame = RequestMiddleware(
        owners,
        dialects,
        prefix=prefix,
        log_requests=log_requests,
        log_as=REQUEST_ID.set,
        most_requests=most_requests,
    )
    app = web.Application(middlewares=[frame.run])
    app[GATEWAY], app[MIDDLEWARE] = gateway, frame
    for dialect in dialects:
        for route in dialect.routes:
            for path in (route.path, prefix + route.path) if route.prefixed else (route.path,):
                handler = route.handler
                if route.alters_rights:
                    handler = announcing(handler, gateway)
                added = app.router.add_route(
                    route.method, path, handler, expect_handler=expect_later
                )
                owners[added] = dialect
    for route in docs.routes(described(dialects, prefix)):
        for path in (route.path, prefix + route.path):
            app.router.add_route(route.method, path, route.handler, expect_handler=expect_later)
    app.router.add_get("/health", health.health)
    app.router.add_get("/ready", health.ready_handler(readiness))
    app.router.add_get("/metrics", metrics.metrics_handler(metrics_directory))
    return app


def described(dialects: Sequence[Dialect], prefix: str) -> dict[str, object]:
    """The OpenAPI document of these dialects and of the service's own routes."""
    parts = [(dialect.name, dialect.description, True) for dialect in dialects]
    own = [("documentation", DOCUMENTATION, True), ("operations", OPERATIONS, False)]
    return document([*parts, *own], version=__version__, prefix=prefix)


def announcing(handler: Handler, gateway: Gateway) -> Handler:
    """``handler``, after which this process forgets what callers may read.

    The others hear of it from the database a moment later.
    """

    async def announced(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        finally:
            gateway.audience.on_change(RightsChanged())

    return announced


async def serve(
    settings: Settings,
    dsn: str,
    sock: socket.socket,
    *,
    metrics_directory: str | None = None,
) -> None:
    """Serve on ``sock`` until SIGTERM or SIGINT, then drain and return.

    Raises ``Failure`` with the reason if a start-up check fails.
    """
    async with (
        open_stores(settings, dsn) as stores,
        open_gateway(settings, stores) as gateway,
        delivering(stores.messaging.database, delivery_policy(settings)) as deliverer,
        listening(dsn, ChangeListeners(gateway.audience, deliverer)),
    ):
        raise_descriptor_limit()
        if settings.store == "memory":
            _log.warning("blobs are kept in memory: they end with this process")
        readiness = health.Readiness(
            {"database": stores.catalogue.probe, "disk": stores.blobs.probe}
        )
        app = build_app(
            gateway,
            readiness,
            prefix=settings.prefix,
            log_requests=settings.access_log,
            most_requests=settings.max_concurrent_requests,
            metrics_directory=metrics_directory,
        )
        app[POLICY] = Policy(settings.hasura_policy) if settings.hook_url is None else None
        server = await start_server(app, settings, sock)
        stop = _stop_signal()
        async with sweeping(stores.blobs, stores.catalogue, stores.messaging, settings):
            await stop.wait()
            readiness.draining = True
            _log.info("draining")
            await server.stop()
            await gateway.files.drain(settings.shutdown_seconds)


def raise_descriptor_limit() -> None:
    """Take as many descriptors as the system grants: each device holds one, or two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def start_server(app: web.Application, settings: Settings, sock: socket.socket) -> HttpServer:
    """Listen. What cannot even be parsed is worded by the first dialect.

    A hook is asked every time, so with one no answer is given before there is a handler.
    """
    send_at_once = None
    if settings.hook_url is None and FastWay.FAST_PATH in settings.fast_ways:
        send_at_once = FastPath(app[GATEWAY], app[MIDDLEWARE]).send
    return await listen(
        app,
        sock,
        lambda error: error_response(error, DIALECTS[0], ""),
        keepalive_seconds=settings.keepalive_seconds,
        shutdown_seconds=settings.shutdown_seconds,
        send_at_once=send_at_once,
        past_parser=FastWay.BYPASS in settings.fast_ways,
    )


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
