"""How the gateway calls out: to the deployment's hook, and to the receivers of webhooks.

Knows no addresses and no reasons to call.

Rule: what is called is not trusted. The whole exchange has a time, no proxy of the
environment is used, no cookie is kept, nothing is unpacked; callers follow no redirect and read
no more than they need.
"""

from __future__ import annotations

import aiohttp
from yarl import URL


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
