"""Who asks for which file, and whether they may: what is kept of it, or what the dialect finds.

Knows the read cache. Does not know ranges, conditions, or how anything is sent; opens no blob.

Rule: what is found was true at some moment of the last ``GATEWAY_READ_CACHE_SECONDS``, and the
hook's word is never older than the hook allows.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable

from aiohttp import web

from gateway.model.access import Access
from gateway.model.file import FileRecord
from gateway.process.holder import reading
from gateway.traffic.resolved import SharedReader
from gateway.web.authentication import CALLERS, rights_of
from gateway.web.downloads.asked import STANDARD, ReadRules, pins_of
from gateway.web.downloads.context import Downloads, ResolvedRead
from gateway.web.downloads.headers import IMMUTABLE, REVALIDATED, version_of

Resolve = Callable[[web.Request], Awaitable[tuple[Access, FileRecord]]]


async def look_up(
    request: web.Request,
    downloads: Downloads,
    resolve: Resolve,
    rules: ReadRules,
    *,
    decision_seconds: float | None = None,
) -> ResolvedRead:
    """The read, held for the caller, who releases it.

    ``decision_seconds``, if it is for a front server that will act on it by itself: at least
    so long it must still hold, and the hook is asked by whoever words it. Raises what
    ``resolve`` and the hook raise.
    """
    key = (request.raw_path, rules.credential_of(request))
    max_age = math.inf if decision_seconds is None else downloads.edge_seconds - decision_seconds
    resolved = downloads.reads.find(key, max_age=max_age)
    if resolved is None and await downloads.reads.resolved_by_another(key):
        resolved = downloads.reads.find(key, max_age=max_age)
    if resolved is None:
        return await _resolve(request, downloads, key, resolve, rules)
    if decision_seconds is None:
        await _ask_hook(request, resolved)
    return resolved


async def _ask_hook(request: web.Request, resolved: ResolvedRead) -> None:
    try:
        await request.app[CALLERS].hook.authorise(resolved.access)
    except BaseException:
        resolved.reader.release()
        raise


async def _resolve(
    request: web.Request,
    downloads: Downloads,
    key: tuple[str, Hashable],
    resolve: Resolve,
    rules: ReadRules,
) -> ResolvedRead:
    seen = asyncio.get_running_loop().time()
    with downloads.reads.resolving(key) as watch:
        with reading():
            access, record = await resolve(request)
        _, credential = key
        always = {**downloads.cors.always, **downloads.surrogate_keys(record)}
        pins, name = pins_of(request), rules.shown_name(record)
        cache_control = IMMUTABLE if pins else REVALIDATED
        resolved = ResolvedRead(
            access=access,
            record=record,
            version=version_of(record, name, always, cache_control=cache_control),
            reader=SharedReader(),
            seen=seen,
            whose=rights_of(request, access),
            read_id=downloads.watch.read_id(credential, *_identity(request, record, rules)),
            plain=rules == STANDARD and not pins,  # the fast path holds nothing to a pin
        )
        downloads.reads.keep(key, resolved, watch)
        return resolved


def _identity(request: web.Request, record: FileRecord, rules: ReadRules) -> tuple[Hashable, ...]:
    """What a caller's downloads of this file have in common."""
    if rules.address_of is None:
        return record.scope, record.name
    return (rules.address_of(request),)
