"""Traces: told to a collector that speaks OTLP, taken over and passed on; and nothing of it where they are off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.tools.firmware import Firmware
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.hook import HookServer, running_hook
from tests.tools.mainflux import Thing, sign_in, upload
from tests.tools.ports import HOST
from tests.tools.receiver import Received, Receiver
from tests.tools.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

requests_of = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="the extra [otel]"
).ExportTraceServiceRequest

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
UNSAMPLED = {"traceparent": f"00-{TRACE[::-1]}-{PARENT}-00"}
IMAGE = Firmware(91, 50_000)


@dataclass(frozen=True, slots=True)
class Told:
    """A span as it was told."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    service: str
    failed: bool


def spans(received: Received) -> Iterator[Told]:
    """What a request to the collector tells."""
    asked = requests_of.FromString(received.body)
    for of_resource in asked.resource_spans:
        named = {a.key: a.value.string_value for a in of_resource.resource.attributes}
        for span in (s for scope in of_resource.scope_spans for s in scope.spans):
            values = {a.key: a.value.string_value or a.value.int_value for a in span.attributes}
            ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
            yield Told(span.name, *ids, values, named["service.name"], span.status.code == 2)


class Collector:
    """Who is told."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def told(self) -> list[Told]:
        """All spans so far."""
        return [span for received in self._receiver.taken for span in spans(received)]

    async def one(self, **wanted: object) -> Told:
        """The one whose attributes are these, when it has come."""

        def found() -> list[Told]:
            known = {n.replace("__", "."): v for n, v in wanted.items()}
            return [s for s in self.told() if known.items() <= s.attributes.items()]

        await until(lambda: bool(found()))
        [span] = found()
        return span


@asynccontextmanager
async def listening() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.up()
    try:
        yield receiver
    finally:
        await receiver.down()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hook() -> AsyncIterator[HookServer]:
    async with running_hook() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: str,
    receiver: Receiver,
    hook: HookServer,
) -> AsyncIterator[GatewayProcess]:
    """A gateway that tells, named and told where by the field's own variables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        patch.setenv("OTEL_SERVICE_NAME", "firmware")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        running = running_gateway(
            tmp_path_factory.mktemp("traced"),
            database_server=postgres_server,
            otel="true",
            hook_url=hook.url,
            hook_cache_seconds=0,
            trusted_proxies=f"{HOST}/32",
            webhook_private_targets="true",
        )
        async with running as started:
            yield started


@pytest.fixture(scope="module")
def collector(receiver: Receiver) -> Collector:
    return Collector(receiver)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def thing(gateway: GatewayProcess, http: aiohttp.ClientSession) -> Thing:
    made = await (await sign_in(http, gateway.url)).thing()
    await upload(http, f"{gateway.url}/files", made.headers, "a.bin", IMAGE.content)
    return made


async def read(
    http: aiohttp.ClientSession, gateway: GatewayProcess, thing: Thing, name: str, **more: str
) -> int:
    url = f"{gateway.url}/files/{name}"
    async with http.get(url, headers={**thing.headers, **more}) as answer:
        await answer.read()
        return answer.status


async def test_a_request_goes_on_with_the_trace_that_it_came_with_and_so_does_the_hook(
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    hook: HookServer,
    collector: Collector,
    thing: Thing,
) -> None:
    hook.requests.clear()
    assert 200 == await read(http, gateway, thing, "a.bin?x=secret", **SAMPLED)
    [asked] = [r.headers["traceparent"].split("-") for r in hook.requests]
    served = await collector.one(url__path="/files/a.bin", http__response__status_code=200)
    assert ("GET /files/{name}", TRACE, PARENT) == (served.name, served.trace, served.parent)
    assert ("firmware", False) == (served.service, served.failed)
    assert "mainflux" == served.attributes["filestore.dialect"]
    [question] = [s for s in collector.told() if s.parent == served.id]
    assert ["00", TRACE, question.id, "01"] == asked
    assert "secret" not in str(collector.told())


async def test_what_its_sender_does_not_want_told_is_not(
    http: aiohttp.ClientSession,
    gateway: GatewayProcess,
    hook: HookServer,
    collector: Collector,
    thing: Thing,
) -> None:
    hook.requests.clear()
    assert 200 == await read(http, gateway, thing, "a.bin", **UNSAMPLED)
    assert [UNSAMPLED["traceparent"][:36]] == [r.headers["traceparent"][:36] for r in hook.requests]
    assert 404 == await read(http, gateway, thing, "marker.bin")
    await collector.one(url__path="/files/marker.bin")
    assert TRACE[::-1] not in {span.trace for span in collector.told()}


async def test_a_small_range_that_no_handler_sees_is_told(
    http: aiohttp.ClientSession, gateway: GatewayProcess, collector: Collector, thing: Thing
) -> None:
    for _ in range(2):
        assert 206 == await read(http, gateway, thing, "a.bin", Range="bytes=7-4000")
    await until(
        lambda: (
            2 <= sum(s.attributes.get("http.response.status_code") == 206 for s in collector.told())
        )
    )


async def test_a_collector_that_is_away_is_no_matter(
    http: aiohttp.ClientSession, gateway: GatewayProcess, receiver: Receiver, thing: Thing
) -> None:
    await receiver.down()
    try:
        assert 200 == await read(http, gateway, thing, "a.bin", **SAMPLED)
    finally:
        await receiver.up()
    assert "opentelemetry" not in gateway.log


async def test_where_it_is_off_nothing_of_it_is_loaded() -> None:
    program = (
        "import sys, gateway.__main__, gateway.app, gateway.wiring; "
        "print([m for m in sys.modules if m.startswith(('opentelemetry', 'gateway.process.otel'))])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "[]" == said.stdout.strip()
