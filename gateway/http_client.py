"""How the gateway calls out: to the deployment's hook, the receivers of webhooks, the blob store.

Knows no addresses and no reasons to call.

Rule: what is called is not trusted. The whole exchange has a time, no proxy of the
environment is used, no cookie is kept, nothing is unpacked; callers follow no redirect and read
no more than they need.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import aiohttp
from yarl import URL


class Unreachable(Exception):
    """Nobody answered, or not to the end."""


def address_of(written: str) -> URL:
    """The address exactly as it was written, for it may be signed; a fragment is never sent.

    What could not stand in a request as it is (spaces, letters outside ASCII) is escaped.
    """
    bare = written.partition("#")[0]
    sendable = bare.isascii() and bare.isprintable() and " " not in bare
    return URL(bare, encoded=sendable)


def http_client(
    connector: aiohttp.BaseConnector, *, timeout_seconds: float
) -> aiohttp.ClientSession:
    """A session, to be entered; it closes ``connector``.

    ``timeout_seconds`` bounds a whole exchange, waiting for a connection included.
    """
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "filestore-gateway", "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    )


async def ask_once(
    method: str,
    address: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    *,
    timeout_seconds: float,
    most_bytes: int,
    authorities: bytes | None = None,
) -> tuple[int, bytes]:
    """One exchange on a connection of its own: the status, at most ``most_bytes`` of the body.

    ``authorities`` are certificates (PEM) to trust beside the system's. Raises ``Unreachable``.
    """
    context = ssl.create_default_context()
    if authorities is not None:
        context.load_verify_locations(cadata=authorities.decode("ascii"))
    connector = aiohttp.TCPConnector(ssl=context)
    try:
        async with (
            http_client(connector, timeout_seconds=timeout_seconds) as client,
            client.request(
                method,
                URL(address, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
            ) as answer,
        ):
            return answer.status, await answer.content.read(most_bytes)
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        raise Unreachable(str(exc) or type(exc).__name__) from exc
