"""What the gateway counts, in Prometheus' terms.

Rule: label values come from fixed sets (dialect, method, status), never from a request,
so that nobody can grow the memory of the process or of whoever scrapes it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.web.dialect import Handler

_FLUSH_SECONDS: Final = 1.0
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_requests: Final = Counter(
    "gateway_requests_total", "Requests answered.", ("dialect", "method", "status")
)
_seconds: Final = Histogram(
    "gateway_request_seconds",
    "Time from request head to end of response.",
    ("dialect", "method"),
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0),
)
uploads_in_flight: Final = Gauge(
    "gateway_uploads_in_flight", "Uploads being received.", multiprocess_mode="livesum"
)
connections: Final = Gauge("gateway_connections", "Connections open.", multiprocess_mode="livesum")
received_bytes: Final = Counter("gateway_received_bytes_total", "File bytes received.")
_sent_bytes: Final = Counter("gateway_sent_bytes_total", "File bytes sent by the gateway itself.")
_downloads: Final = Gauge(
    "gateway_downloads_in_flight",
    "Downloads being sent by the gateway itself that are too long for one write.",
    multiprocess_mode="livesum",
)
_cut: Final = Counter("gateway_downloads_cut_total", "Such downloads that were cut.")
_build: Final = Gauge(
    "gateway_build_info",
    "1; the labels name the build.",
    ("version", "commit"),
    multiprocess_mode="max",
)
free_bytes: Final = Gauge(
    "gateway_free_disk_bytes", "Room where blobs are kept.", multiprocess_mode="mostrecent"
)
deliveries: Final = Gauge(
    "gateway_webhook_deliveries",
    "Deliveries to webhooks that wait or are dead letters; no more than 10,000 are counted.",
    ("state",),
    multiprocess_mode="mostrecent",
)
database_connections: Final = Gauge(
    "gateway_database_connections",
    "Connections to the database, as last looked at.",
    ("state",),
    multiprocess_mode="livesum",
)
stalled: Final = Counter("gateway_stalled_total", "Transfers ended because the peer stalled.")
uploads_cut: Final = Counter(
    "gateway_uploads_cut_total", "Uploads cut because the right to them had ended."
)


@contextlib.contextmanager
def download_under_way() -> Iterator[None]:
    """A download, until it is at its end or cut."""
    _downloads.inc()
    try:
        yield
    except BaseException:
        _cut.inc()
        raise
    finally:
        _downloads.dec()


def name_build(version: str, commit: str) -> None:
    """What runs here."""
    _build.labels(version, commit).set(1)


class _Pending:
    """Counts of the last moment, not yet given to the counters, each of which has a lock."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, str, int], int] = {}
        self.sent_bytes = 0
        self.timer: asyncio.TimerHandle | None = None

    def flush(self) -> None:
        """Give everything to the counters."""
        self.timer = None
        requests, self.requests = self.requests, {}
        for (dialect, method, status), count in requests.items():
            _requests.labels(dialect, method, str(status)).inc(count)
        _sent_bytes.inc(self.sent_bytes)
        self.sent_bytes = 0


_pending: Final = _Pending()


def observe(dialect: str, method: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    known = method if method in _METHODS else "other"
    key = (dialect, known, status)
    _pending.requests[key] = _pending.requests.get(key, 0) + 1
    _histogram(dialect, known).observe(seconds)
    if _pending.timer is None:
        loop = asyncio.get_running_loop()
        _pending.timer = loop.call_later(_FLUSH_SECONDS, _pending.flush)


def sent(count: int) -> None:
    """Count file bytes that were sent; the request that sent them is observed after it."""
    _pending.sent_bytes += count


@lru_cache(maxsize=256)
def _histogram(dialect: str, method: str) -> Histogram:
    return _seconds.labels(dialect, method)


def exposition(directory: str | None) -> bytes:
    """All metrics as text; those of every worker added up if ``directory`` holds them."""
    _pending.flush()
    if directory is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=directory)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def metrics_handler(directory: str | None) -> Handler:
    """The handler of ``GET /metrics``; ``directory`` is where several workers' values are."""

    async def metrics(request: web.Request) -> web.Response:
        del request
        return web.Response(
            body=exposition(directory), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    return metrics
