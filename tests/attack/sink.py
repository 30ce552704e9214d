"""What stands for the gateway in the control: ``python -m tests.attack.sink RATE``; it says its port, and ends with stdin.

It takes whatever comes and answers 404, so many times a second as the gateway did, with next to no work. So
what an honest device waits while attackers are at it is what they themselves take of the machine.
"""

from __future__ import annotations

import asyncio
import re
import resource
import sys
from collections import deque

from tests.tools.ports import HOST

ANSWER = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
ROUND_SECONDS = 0.01
MOST_BYTES = 1 << 20
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"


class Answers:
    """Those who wait for an answer, ``rate`` of whom get one in a second."""

    def __init__(self, rate: float) -> None:
        self._each = rate * ROUND_SECONDS
        self._waiting = deque[asyncio.Transport]()

    def ask(self, transport: asyncio.Transport) -> None:
        """Have it answered in its turn."""
        self._waiting.append(transport)

    async def give(self) -> None:
        """Until it is cancelled."""
        due = 0.0
        while True:
            await asyncio.sleep(ROUND_SECONDS)
            due = min(due + self._each, len(self._waiting))
            while due >= 1:
                self._waiting.popleft().write(ANSWER)
                due -= 1


class SinkProtocol(asyncio.Protocol):
    """One connection: heads are looked at as far as it must be known where they end."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._seen = b""
        self._left = 0
        self._chunked = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Ask for an answer to each request that ends in it."""
        if self._left:
            taken = min(self._left, len(data))
            self._left, data = self._left - taken, data[taken:]
            if not self._left:
                self._ask()
        self._seen = (self._seen + data)[-MOST_BYTES:]
        while self._ended():
            self._ask()

    def _ended(self) -> bool:
        """Whether a request has ended in what was seen; it is taken out."""
        if self._chunked:
            end = self._seen.find(_LAST_CHUNK)
            if end < 0:
                self._seen = self._seen[-len(_LAST_CHUNK) :]
                return False
            self._seen, self._chunked = self._seen[end + len(_LAST_CHUNK) :], False
            return True
        head, found, rest = self._seen.partition(_HEAD_END)
        if not found:
            return False
        self._seen, length = rest, _LENGTH.search(head)
        if _CHUNKED.search(head):
            self._chunked = True
            return self._ended()
        size = int(length[1]) if length else 0
        self._left, self._seen = max(0, size - len(rest)), rest[size:]
        return not self._left

    def _ask(self) -> None:
        if self._transport is not None:
            self._answers.ask(self._transport)


async def main(rate: float) -> None:
    """Take everything until stdin ends."""
    loop, answers = asyncio.get_running_loop(), Answers(rate)
    server = await loop.create_server(lambda: SinkProtocol(answers), HOST, 0, backlog=4096)
    giving = asyncio.create_task(answers.give())
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    giving.cancel()


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(float(sys.argv[1])))
