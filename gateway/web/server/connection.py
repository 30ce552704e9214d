"""One connection of ours: aiohttp's, with its corrections and the ways past its handlers.

Theory of operation. The class is a pile of layers, each in a module with its own explanation:
``receipts``, ``plain`` (aiohttp's connection with our options), ``corrections``, ``bypass`` (large
bodies), ``fastpath`` (responses at once). Here is only the order in which bytes meet them:

1. whoever waits for a receipt hears that the client said more;
2. aiohttp parses, while it is kept from waking its task: who is next is decided in 4;
3. the newest message is corrected, and what was lost before it is found;
4. the next request goes to the fast path, or wakes the task that runs handlers;
5. the rest of a large body leaves the parser.
"""

from __future__ import annotations

from gateway.web.server.fastpath import RespondingConnection


class Connection(RespondingConnection):
    """One connection."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """As aiohttp does, with what the layers add. Without ``data`` aiohttp calls it itself."""
        idle, self._waiter = self._waiter, None  # who is next is decided here
        super().data_received(data)
        self._waiter = idle
        if self._messages:
            self._correct_newest(data)
            self._take_next()
        else:
            self._keep_beginning(data)
        if self._unfinished_body is not None:
            self._end_if_reset()
            if self._options.past_parser:
                self._receive_past_parser()
        self._see_end(data)
