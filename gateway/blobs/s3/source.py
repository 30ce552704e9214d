"""What an upload is fed from: pieces that one side puts in and the client library takes out.

At most one piece waits. An upload is ended by raising in its source, never by cancelling it: so it
tidies up after itself.
"""

from __future__ import annotations

import asyncio
from typing import Self

from gateway.model.errors import StorageUnavailable


class Discarded(Exception):
    """The upload is not to come to its end."""


class PieceSource:
    """An asynchronous iterator of pieces, for one taker."""

    def __init__(self) -> None:
        self._piece: bytes | None = None
        self._ended = False
        self._discarded = False
        self._left = False
        self._changed = asyncio.Event()

    async def put(self, piece: bytes) -> None:
        """Hand over a piece, once the one before was taken.

        Raises ``StorageUnavailable`` if nobody takes any more.
        """
        while self._piece is not None and not self._left:
            await self._change()
        if self._left:
            raise StorageUnavailable()
        self._piece = piece
        self._changed.set()

    def end(self) -> None:
        """There are no more pieces."""
        self._ended = True
        self._changed.set()

    def discard(self) -> None:
        """The taker gets an exception in place of the next piece."""
        self._discarded, self._piece = True, None
        self._changed.set()

    def leave(self, _: object = None) -> None:
        """The taker is gone."""
        self._left, self._piece = True, None
        self._changed.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while self._piece is None and not (self._ended or self._discarded):
            await self._change()
        if self._discarded:
            raise Discarded
        piece, self._piece = self._piece, None
        self._changed.set()
        if piece is None:
            raise StopAsyncIteration
        return piece

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
