"""Who is told of traces: a collector that speaks OTLP over HTTP, by OpenTelemetry's own library.

The one module that knows that library, and it is loaded only where ``GATEWAY_OTEL`` says so. Where
the collector is, how many requests are told and under which name is said by OpenTelemetry's own
variables (``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_TRACES_SAMPLER`` ...), which the library reads.

Theory of operation. Spans are made on the loop, which costs some tens of microseconds, and sent
from a thread of the library's in batches. When the collector is away they are dropped, the newest
first, once as many wait as ``OTEL_BSP_MAX_QUEUE_SIZE`` says. It has threads, so it is opened in
the process that uses it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway.process.tracing import Value

_NAME: Final = "filestore-gateway"
_UNNAMED: Final = "unknown_service"
_END_SECONDS: Final = 3.0
_NANOSECONDS: Final = 1_000_000_000
_propagator: Final = TraceContextTextMapPropagator()


class _Span:
    """A span of the library's, in our words."""

    __slots__ = ("_span",)

    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        """What it turned out to be."""
        self._span.update_name(name)

    def note(self, **attributes: Value) -> None:
        """What is known of it by now."""
        self._span.set_attributes({n.replace("__", "."): v for n, v in attributes.items()})

    def fail(self, why: str) -> None:
        """It did not succeed."""
        self._span.set_attribute("error.type", why)
        self._span.set_status(Status(StatusCode.ERROR))


class OpenTelemetryTracer:
    """The ``Tracer`` of a provider."""

    def __init__(self, provider: TracerProvider, version: str) -> None:
        self._tracer = provider.get_tracer(_NAME, version)

    @contextmanager
    def serving(self, name: str, given: Mapping[str, str]) -> Iterator[_Span]:
        """A request that is being answered."""
        parent = _propagator.extract(given, Context()) if given else Context()
        with self._tracer.start_as_current_span(
            name, parent, SpanKind.SERVER, record_exception=False, set_status_on_exception=False
        ) as span:
            yield _Span(span)

    @contextmanager
    def asking(self, name: str) -> Iterator[_Span]:
        """A request of ours."""
        with self._tracer.start_as_current_span(
            name, kind=SpanKind.CLIENT, record_exception=False
        ) as span:
            yield _Span(span)

    def served(self, name: str, seconds: float, attributes: Mapping[str, Value]) -> None:
        """A request was answered, and took so long until now."""
        began = time.time_ns() - int(seconds * _NANOSECONDS)
        span = self._tracer.start_span(name, Context(), SpanKind.SERVER, start_time=began)
        _Span(span).note(**attributes)
        span.end()

    def context(self) -> Mapping[str, str]:
        """The headers by which another takes part in the trace."""
        carrier: dict[str, str] = {}
        if trace.get_current_span().get_span_context().is_valid:
            _propagator.inject(carrier)
        return carrier


@asynccontextmanager
async def open_tracer(version: str) -> AsyncIterator[OpenTelemetryTracer]:
    """Tell the collector until the end of the block; what waits then has some seconds to go."""
    # A collector that is away is no news.
    logging.getLogger("opentelemetry").setLevel(logging.ERROR)
    resource = Resource.create({SERVICE_VERSION: version})
    if str(resource.attributes.get(SERVICE_NAME, _UNNAMED)).startswith(_UNNAMED):
        resource = resource.merge(Resource({SERVICE_NAME: _NAME}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield OpenTelemetryTracer(provider, version)
    finally:
        await _end(provider)


async def _end(provider: TracerProvider) -> None:
    """A thread that nobody waits for: to a collector that hangs it would be for long."""
    ending = threading.Thread(target=provider.shutdown, daemon=True)
    ending.start()
    await asyncio.to_thread(ending.join, _END_SECONDS)
