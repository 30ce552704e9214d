"""The auth hook: the deployment's own word on every access, asked over HTTP.

Knows the question's form (that of Hasura's filestore webhook, and some headers of our own)
and how little of a response to believe. Does not know what the dialects' rules said.

Rule: it fails closed. 200 allows and 403 denies; whatever else comes, or does not come, is
``HookUnavailable``. The client's cookies are never passed on, and no more of a reply is
read than a message can be long.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from gateway.http_client import address_of, http_client
from gateway.identity.port import Sealed
from gateway.model.access import Access
from gateway.model.errors import Denied, HookUnavailable
from gateway.process import tracing
from gateway.resolvers import OwnNames

_REPLY_BYTES: Final = 4096
_MESSAGE_CHARACTERS: Final = 256
_NO_CACHE: Final = re.compile(r"(?:^|[\s,])no-(?:store|cache)(?:$|[\s,=])", re.IGNORECASE)
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=\"?([0-9]{1,9})(?:$|[\s,\"])", re.IGNORECASE)


HookWatch = Callable[[str, float], None]
"""Is told of a question: ``allowed``, ``denied`` or ``unavailable``, and after how many seconds."""


def _unwatched(outcome: str, seconds: float) -> None:
    del outcome, seconds


@dataclass(frozen=True, slots=True)
class Question:
    """One request to the hook, whole."""

    url: URL
    headers: Mapping[str, str]

    def check_sendable(self) -> None:
        """Raise ``ValueError`` for text that aiohttp would send with parts left out."""
        for value in self.headers.values():
            value.encode()

    def fingerprint(self) -> bytes:
        """Equal only for equal questions; keeps no credential in the cache."""
        text = json.dumps([str(self.url), sorted(self.headers.items())])
        return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the hook decided; ``max_age_seconds`` is its own word on reuse, if it gave one."""

    denied: str | None
    max_age_seconds: float | None = None

    def enforce(self) -> None:
        """Raise ``Denied`` if it was a no."""
        if self.denied is not None:
            raise Denied(self.denied)


class HttpHook:
    """The hook at a URL: what ``identity.decisions`` makes an ``AuthHook`` of."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, watch: HookWatch = _unwatched
    ) -> None:
        self._session = session
        self._url = url
        self._watch = watch

    def question(self, access: Access) -> Question:
        """The question of phase ``authorise``, before a body is read."""
        return ask_to_authorise(self._url, access)

    async def approve(self, access: Access, sealed: Sealed) -> None:
        """Phase ``commit``, before a row is written. Raises ``Denied`` or ``HookUnavailable``."""
        (await self.ask(ask_to_approve(self._url, access, sealed))).enforce()

    async def ask(self, question: Question) -> Verdict:
        """What the hook decides. Raises ``HookUnavailable`` for whatever is no decision."""
        began, outcome = time.perf_counter(), "unavailable"
        try:
            with tracing.asking("hook"):
                verdict = await self._asked(question)
            outcome = "allowed" if verdict.denied is None else "denied"
            return verdict
        finally:
            self._watch(outcome, time.perf_counter() - began)

    async def _asked(self, question: Question) -> Verdict:
        try:
            question.check_sendable()
            async with self._session.get(
                question.url,
                headers={**question.headers, **tracing.context()},
                allow_redirects=False,
            ) as reply:
                return await _verdict(reply)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            raise HookUnavailable() from exc


class NoHook:
    """The ``AuthHook`` of a deployment without one: the dialects' own rules decide alone."""

    async def authorise(self, access: Access, *, lasting: float = 0.0) -> float:
        """Agree, for good."""
        return math.inf

    async def approve(self, access: Access, sealed: Sealed) -> None:
        """Agree."""


@contextlib.asynccontextmanager
async def open_http_hook(
    url: str, *, timeout_seconds: float, connections: int, watch: HookWatch = _unwatched
) -> AsyncIterator[HttpHook]:
    """The hook at ``url``, with its own pool of ``connections`` and its own look-ups.

    ``timeout_seconds`` bounds a whole exchange, waiting for a connection included.
    """
    names = OwnNames()
    connector = aiohttp.TCPConnector(limit=connections, resolver=names)
    try:
        async with http_client(connector, timeout_seconds=timeout_seconds) as session:
            yield HttpHook(session, url, watch=watch)
    finally:
        await names.close()


def ask_to_authorise(url: str, access: Access) -> Question:
    """The question of phase ``authorise``."""
    who = access.principal
    headers = {
        "X-Hasura-User-Id": who.id,
        "X-Hasura-User-Role": who.role,
        "X-Hasura-Allowed-Roles": ",".join(who.allowed_roles or (who.role,)),
        "X-Filestore-Dialect": access.dialect,
        "X-Filestore-Scope": str(access.scope),
        "X-Filestore-Phase": "authorise",
    }
    if access.authorization is not None:
        headers["Authorization"] = access.authorization
    return Question(_asking(url, access), headers)


def _asking(url: str, access: Access) -> URL:
    """The operator's address as it was written, with the question behind its own query."""
    asked = urlencode({"file_id": access.name, "file_op": str(access.action)})
    bare = url.partition("#")[0]
    return address_of(f"{bare}{'&' if '?' in bare else '?'}{asked}")


def ask_to_approve(url: str, access: Access, sealed: Sealed) -> Question:
    """The question of phase ``commit``: the same, and what the bytes turned out to be."""
    question = ask_to_authorise(url, access)
    found = {
        "X-Filestore-Phase": "commit",
        "X-Filestore-Size": str(sealed.blob.size),
        "X-Filestore-Sha256": sealed.blob.digest.hex,
        "X-Filestore-Content-Type": sealed.content_type,
    }
    return Question(question.url, {**question.headers, **found})


async def _verdict(reply: aiohttp.ClientResponse) -> Verdict:
    if reply.status == HTTPStatus.OK:
        return Verdict(None, _max_age(reply))
    if reply.status == HTTPStatus.FORBIDDEN:
        body = await _read_bounded(reply)
        message = read_message(body, reply.content_type) if body is not None else None
        return Verdict(message or Denied.sentence, _max_age(reply))
    raise HookUnavailable()


async def _read_bounded(reply: aiohttp.ClientResponse) -> bytes | None:
    """The body, or ``None`` if it is longer than any message."""
    body = bytearray()
    async for chunk in reply.content.iter_any():
        body += chunk
        if len(body) > _REPLY_BYTES:
            return None
    return bytes(body)


def _max_age(reply: aiohttp.ClientResponse) -> float | None:
    return read_max_age(", ".join(reply.headers.getall("Cache-Control", ())))


def read_max_age(cache_control: str) -> float | None:
    """Seconds for which a decision may be reused; ``None`` if the header does not say."""
    if _NO_CACHE.search(cache_control):
        return 0.0
    found = _MAX_AGE.search(cache_control)
    return float(found[1]) if found else None


def read_message(body: bytes, content_type: str) -> str | None:
    """The hook's reason, if it is fit to be shown: one printable line of at most 256 characters.

    From plain text, or from ``message`` or ``error`` of a JSON object. Many frameworks call
    any text HTML; it is taken if it has no markup.
    """
    try:
        text = _reason(body.decode(), content_type).strip()
    except (ValueError, RecursionError):
        return None
    fit = text.isprintable() and 0 < len(text) <= _MESSAGE_CHARACTERS
    return text if fit else None


def _reason(text: str, content_type: str) -> str:
    if content_type.endswith("json"):
        return _member(json.loads(text))
    if content_type == "text/plain" or (content_type == "text/html" and "<" not in text):
        return text
    return ""


def _member(value: object) -> str:
    if isinstance(value, dict):
        for key in ("message", "error"):
            if isinstance(value.get(key), str):
                return str(value[key])
    return ""
