"""What the gateway counts, in Prometheus' terms.

Rule: label values come from fixed sets (dialect, method, status), never from a request,
so that nobody can grow the memory of the process or of whoever scrapes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
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
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from gateway.messaging.posting import AttemptOutcome
from gateway.model.damage import Damage, Fault, FoundBy
from gateway.model.errors import TooMany
from gateway.model.quota import Resource
from gateway.traffic.attempts import Buckets, Rate
from gateway.web.dialect import Handler

_FLUSH_SECONDS: Final = 1.0
_MINUTE: Final = 60
_RENDERINGS: Final = Rate(20, 2.0)
_NGINX_STATUSES: Final = frozenset({200, 206, 304, 403, 404, 412, 416, 499, 500})
_CACHED: Final = ("HIT", "MISS")
_STORE_VERBS: Final = ("put", "head", "get", "delete", "list", "sign")
_STORE_OUTCOMES: Final = ("done", "missing", "refused", "full", "unavailable", "cut", "discarded")
_HOOK_OUTCOMES: Final = ("allowed", "denied", "unavailable")
_SWEPT: Final = ("incoming", "orphans", "garbage")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_requests: Final = Counter(
    "gateway_requests_total", "Requests answered.", ("dialect", "method", "status")
)
_seconds: Final = Histogram(
    "gateway_request_seconds",
    "Time from request head to end of response.",
    ("dialect", "method"),
    buckets=(
        *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
        *(10.0, 30.0, 60.0, 300.0, 900.0, 3600.0),
    ),
)
uploads_in_flight: Final = Gauge(
    "gateway_uploads_in_flight", "Uploads being received.", multiprocess_mode="livesum"
)
_connections: Final = Gauge("gateway_connections", "Connections open.", multiprocess_mode="livesum")
received_bytes: Final = Counter("gateway_received_bytes_total", "File bytes received.")
_sent_bytes: Final = Counter("gateway_sent_bytes_total", "File bytes sent by the gateway itself.")
_downloads: Final = Gauge(
    "gateway_downloads_in_flight",
    "Downloads of more than 64 KiB, or of several parts, being sent by the gateway itself.",
    multiprocess_mode="livesum",
)
_cut: Final = Counter("gateway_downloads_cut_total", "Such downloads that were cut.")
_resumed: Final = Counter(
    "gateway_downloads_resumed_total",
    "Such downloads that went on: from behind the first byte to the last.",
)
_nginx_responses: Final = Counter(
    "gateway_nginx_responses_total",
    "Responses whose bytes nginx sent by itself (X-Accel, edge), as its log tells.",
    ("status",),
)
_nginx_sent: Final = Counter(
    "gateway_nginx_sent_bytes_total", "File bytes that nginx sent by itself, as its log tells."
)
_nginx_cut: Final = Counter(
    "gateway_nginx_downloads_cut_total", "Downloads of more than 64 KiB by nginx that were cut."
)
_nginx_resumed: Final = Counter(
    "gateway_nginx_downloads_resumed_total",
    "Downloads of more than 64 KiB by nginx that went on.",
)
nginx_lines_unread: Final = Counter(
    "gateway_nginx_lines_unread_total", "Lines of nginx's log that could not be read."
)
_nginx_cache: Final = Counter(
    "gateway_nginx_cache_total",
    "Responses that nginx sent of blobs in a store, by whether its cache had their first slice.",
    ("result",),
)
_hook_requests: Final = Counter(
    "gateway_hook_requests_total",
    "Questions to the auth hook: allowed, denied, or unavailable.",
    ("outcome",),
)
_hook_seconds: Final = Histogram(
    "gateway_hook_seconds",
    "Time until the auth hook answered, or did not.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
_store_requests: Final = Counter(
    "gateway_store_requests_total",
    "Requests to the S3 store, by what came of them; those that its client tried again count once.",
    ("verb", "outcome"),
)
_store_seconds: Final = Histogram(
    "gateway_store_request_seconds",
    "Time of a request to the S3 store, tries again included; of a read until its body began.",
    ("verb",),
    buckets=(
        *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
        *(60.0, 300.0, 3600.0),
    ),
)
_damaged: Final = Counter(
    "gateway_damaged_reads_total",
    "Reads of a file whose bytes are missing, too few, or cannot be read.",
)
_quarantined: Final = Counter(
    "gateway_quarantined_total",
    "Blobs put into quarantine: what is wrong with them, and what found it.",
    ("what", "found_by"),
)
quarantine: Final = Gauge(
    "gateway_quarantine_blobs",
    "Blobs in quarantine, which nobody is sent; no more than 10,000 are counted.",
    multiprocess_mode="mostrecent",
)
_scrubbed: Final = Counter("gateway_scrubbed_blobs_total", "Blobs hashed again by the service.")
_scrubbed_bytes: Final = Counter(
    "gateway_scrubbed_bytes_total", "Bytes hashed again by the service."
)
_swept: Final = Counter("gateway_swept_total", "What the sweeps of the service removed.", ("what",))
_last_sweep: Final = Gauge(
    "gateway_last_sweep_timestamp_seconds",
    "When a sweep last came to its end, at whichever gateway.",
    multiprocess_mode="mostrecent",
)
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
database_up: Final = Gauge(
    "gateway_database_up",
    "1 if the database answered when it was last looked at.",
    multiprocess_mode="mostrecent",
)
database_most: Final = Gauge(
    "gateway_database_connections_limit",
    "Most connections to the database (GATEWAY_DATABASE_CONNECTIONS).",
    multiprocess_mode="livesum",
)
resident_bytes: Final = Gauge(
    "gateway_resident_bytes", "Memory of the gateway's processes.", multiprocess_mode="livesum"
)
_cpu: Final = Counter("gateway_cpu_seconds_total", "Processor time of the gateway's processes.")
_late: Final = Histogram(
    "gateway_loop_late_seconds",
    "How long the event loop stood still: the longest of each tenth of a second.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
_latest: Final = Gauge(
    "gateway_loop_longest_seconds",
    "The longest of these in the last one to two minutes.",
    multiprocess_mode="livemax",
)
_processor_wait: Final = Counter(
    "gateway_loop_processor_wait_seconds_total",
    "Time that the event loop's thread was ready to run and had no processor.",
)
oldest_delivery: Final = Gauge(
    "gateway_webhook_oldest_waiting_seconds",
    "For how long the oldest of the deliveries that wait has waited.",
    multiprocess_mode="mostrecent",
)
disabled_webhooks: Final = Gauge(
    "gateway_webhooks_disabled",
    "Webhooks that are told nothing any more; no more than 10,000 are counted.",
    multiprocess_mode="mostrecent",
)
_ATTEMPT_OUTCOMES: Final = tuple(AttemptOutcome)
_attempts: Final = Counter(
    "gateway_webhook_attempts_total", "Attempts to deliver, by what came of them.", ("outcome",)
)
database_connections: Final = Gauge(
    "gateway_database_connections",
    "Connections to the database, as last looked at.",
    ("state",),
    multiprocess_mode="livesum",
)
failovers: Final = Counter(
    "gateway_database_failovers_total",
    "Times that another host of the database's address took the connections.",
)
_over_quota: Final = Counter(
    "gateway_quota_refusals_total", "Requests refused because of a quota.", ("resource",)
)
_echo_seconds: Final = Histogram(
    "gateway_change_echo_seconds",
    "Time until a change that the gateway announced to itself was heard.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
)
_unheard: Final = Counter(
    "gateway_change_echoes_lost_total",
    "Announcements to itself that were not heard in time, or for which there was no connection.",
)
_heard: Final = Gauge(
    "gateway_changes_heard",
    "1 while every worker is proved to hear of changes; else nothing is kept.",
    multiprocess_mode="livemin",
)
stalled: Final = Counter("gateway_stalled_total", "Transfers ended because the peer stalled.")
uploads_cut: Final = Counter(
    "gateway_uploads_cut_total", "Uploads cut because the right to them had ended."
)


@contextlib.contextmanager
def download_under_way(*, resumed: bool) -> Iterator[None]:
    """A download, until it is at its end or cut; ``resumed`` if it goes on with one to its end."""
    _downloads.inc()
    if resumed:
        _resumed.inc()
    try:
        yield
    except BaseException:
        _cut.inc()
        raise
    finally:
        _downloads.dec()


def sent_by_nginx(status: int, count: int, *, cut: bool, resumed: bool) -> None:
    """Count a response of ``count`` bytes of a file that nginx sent by itself."""
    known = str(status) if status in _NGINX_STATUSES else "other"
    _nginx_responses.labels(known).inc()
    _nginx_sent.inc(count)
    _nginx_cut.inc(cut)
    _nginx_resumed.inc(resumed)


def looked_up_by_nginx(cached: str) -> None:
    """nginx's cache had the first slice of a response, or not (``HIT``, ``MISS`` ...)."""
    _nginx_cache.labels(cached.lower() if cached in _CACHED else "other").inc()


def hook_answered(outcome: str, seconds: float) -> None:
    """Count a question to the auth hook: ``allowed``, ``denied`` or ``unavailable``."""
    _hook_requests.labels(outcome).inc()
    _hook_seconds.observe(seconds)


def store_answered(verb: str, outcome: str, seconds: float) -> None:
    """Count a request to the S3 store. ``verb`` and ``outcome`` are of fixed sets."""
    _store_requests.labels(verb, outcome).inc()
    _store_seconds.labels(verb).observe(seconds)


def damage_met() -> None:
    """A read met bytes that are not as they were stored."""
    _damaged.inc()


def quarantined(fault: Fault, found_by: FoundBy) -> None:
    """A blob was put into quarantine."""
    _quarantined.labels(fault.damage, found_by).inc()


def scrubbed(size: int) -> None:
    """A blob of ``size`` bytes was hashed again."""
    _scrubbed.inc()
    _scrubbed_bytes.inc(size)


def swept(**removed: int) -> None:
    """Count what a sweep that came to its end removed, by what it was."""
    for what, count in removed.items():
        _swept.labels(what).inc(count)
    _last_sweep.set_to_current_time()


def swept_elsewhere(moment: float) -> None:
    """Another gateway swept for all, at so many seconds since 1970."""
    _last_sweep.set(moment)


def processor_time(seconds: float) -> None:
    """So much more was used by this process."""
    _cpu.inc(seconds)


class _Open:
    """What is open in this process."""

    def __init__(self) -> None:
        self.connections = 0


_open: Final = _Open()


def connections_changed(by: int) -> None:
    """So many connections more."""
    _open.connections += by
    _connections.inc(by)


def open_connections() -> int:
    """How many connections this process has."""
    return _open.connections


def processor_awaited(seconds: float) -> None:
    """For so much longer this process's event loop had no processor."""
    _processor_wait.inc(seconds)


class _Longest:
    """The largest of the values of the last minute, and of the one before."""

    def __init__(self) -> None:
        self._minute = 0
        self._now = self._before = 0.0

    def add(self, value: float) -> float:
        """The largest with this one."""
        minute = int(time.monotonic()) // _MINUTE
        if minute != self._minute:
            self._before = self._now if minute == self._minute + 1 else 0.0
            self._minute, self._now = minute, 0.0
        self._now = max(self._now, value)
        return max(self._now, self._before)


_longest: Final = _Longest()


def loop_late(seconds: float) -> None:
    """The event loop came so late to a timer."""
    _late.observe(seconds)
    _latest.set(_longest.add(seconds))


def over_quota(resource: str) -> None:
    """Somebody would have had too much of this."""
    _over_quota.labels(resource).inc()


def echoed(seconds: float | None) -> None:
    """A change announced to ourselves was heard after so long, or not in time."""
    _heard.set(0 if seconds is None else 1)
    if seconds is None:
        _unheard.inc()
    else:
        _echo_seconds.observe(seconds)


def attempted(outcome: str) -> None:
    """Count one attempt to deliver. ``outcome`` is of a fixed set."""
    _attempts.labels(outcome).inc()


def begin(version: str, commit: str) -> None:
    """Name what runs here, and have every series from the start: a rate needs its zero."""
    _build.labels(version, commit).set(1)
    for outcome in _HOOK_OUTCOMES:
        _hook_requests.labels(outcome)
    for outcome in _ATTEMPT_OUTCOMES:
        _attempts.labels(outcome)
    for status in (*sorted(map(str, _NGINX_STATUSES)), "other"):
        _nginx_responses.labels(status)
    for cached in (*_CACHED, "other"):
        _nginx_cache.labels(cached.lower())
    for verb in _STORE_VERBS:
        _store_seconds.labels(verb)
        for outcome in _STORE_OUTCOMES:
            _store_requests.labels(verb, outcome)
    for damage in Damage:
        for found_by in FoundBy:
            _quarantined.labels(damage, found_by)
    for what in _SWEPT:
        _swept.labels(what)
    for resource in Resource:
        _over_quota.labels(resource)


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


class _Shown:
    """The exposition, rendered a few times a second at most: it takes milliseconds."""

    def __init__(self, directory: str | None) -> None:
        self._directory = directory
        self._renderings = Buckets(_RENDERINGS)
        self._last = b""

    def text(self) -> bytes:
        """As it is now; as it was a moment ago if too many ask."""
        with contextlib.suppress(TooMany):
            self._renderings.take(None)
            self._last = exposition(self._directory)
        return self._last


def metrics_handler(directory: str | None) -> Handler:
    """The handler of ``GET /metrics``; ``directory`` is where several workers' values are."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    shown = _Shown(directory)

    async def metrics(request: web.Request) -> web.Response:
        del request
        return web.Response(body=shown.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return metrics
