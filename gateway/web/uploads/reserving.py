"""A place among the uploads at once: its share of their memory, and the right it is held to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from gateway.web import metrics
from gateway.web.authentication import holder_of
from gateway.web.server.exchange import read_ahead
from gateway.web.uploads.context import Uploads

_AHEAD_BYTES: Final = 1024 * 1024
_LEAST_AHEAD: Final = 64 * 1024
_MOST_AHEAD: Final = 512 * 1024


@contextmanager
def reserved(request: web.Request, uploads: Uploads) -> Iterator[None]:
    """One of the uploads at once, which reads ahead of its writer by its share of memory.

    Reading further ahead spares the connection from being paused after every read. Raises
    ``TooMany`` if there is no place for whoever sends it, their things included.
    """
    with (
        uploads.concurrency.taken(holder_of(request)),
        metrics.uploads_in_flight.track_inprogress(),
        uploads.under_way.holding(request),
    ):
        ahead = uploads.concurrency.share(_AHEAD_BYTES, least=_LEAST_AHEAD, most=_MOST_AHEAD)
        read_ahead(request, ahead)
        yield
