"""One user's uploads, by however many things, leave places for everybody else's."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from tests.tools.gateway import running_gateway
from tests.tools.mainflux import sign_in, signed_in, upload
from tests.tools.rawhttp import multipart, raw_connection

PLACES = 8
KEPT = 2


async def test_whoever_holds_most_places_gets_no_more_and_others_do(
    tmp_path: Path, postgres_server: str
) -> None:
    disposition = 'Content-Disposition: form-data; name="file"; filename="fw.bin"'
    headers, body = multipart([(disposition, bytes(1 << 20))])
    async with (
        running_gateway(
            tmp_path, database_server=postgres_server, max_concurrent_uploads=PLACES
        ) as gateway,
        aiohttp.ClientSession() as session,
        signed_in(gateway.url) as admin,
        AsyncExitStack() as stack,
    ):
        said = {"email": "greedy@test.test", "password": "correct-horse"}
        async with session.post(f"{gateway.url}/users", json=said) as answer:
            assert answer.status == 201
        greedy = await sign_in(session, gateway.url, said["email"], said["password"])
        things = [await greedy.thing() for _ in range(PLACES - KEPT)]
        connections = [
            await stack.enter_async_context(raw_connection(gateway.port)) for _ in things
        ]
        for raw, thing in zip(connections, things, strict=True):
            await raw.send_head("POST", "/files", [*thing.headers.items(), *headers])
            await raw.send(body[: 1 << 19])
        async with asyncio.timeout(20):
            while len(list((gateway.data_dir / "incoming").iterdir())) < len(things):
                await asyncio.sleep(0.01)
        one_more = await greedy.thing()
        async with raw_connection(gateway.port) as raw:
            await raw.send_head("POST", "/files", [*one_more.headers.items(), *headers])
            assert (await raw.read_answer()).status == 429
        thing = await admin.thing()
        await upload(session, f"{gateway.url}/files", thing.headers, "fw.bin", b"content")
        await connections[0].send(body[1 << 19 :])
        assert (await connections[0].read_answer()).status == 201
        await upload(session, f"{gateway.url}/files", one_more.headers, "fw.bin", b"content")
