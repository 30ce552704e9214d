"""What nginx sent by itself, counted from the lines of its log.

Behind nginx the gateway decides and nginx sends (X-Accel, edge), so only nginx knows what became
of a download. It writes a line for each response whose bytes were its own to send, and for no
other: what passed through the gateway is counted there already. ``deploy/nginx`` has the format,
``filestore_sent``: status, bytes of body, whether the request was completed, Content-Length,
Content-Range, and what the cache had of a blob in a store (not in the format of earlier releases).
Nothing of it is a client's text.

Rule: a line changes counters and nothing else, and one that cannot be read is counted as such.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.web import metrics
from gateway.web.downloads.deliver.write import ONE_WRITE_BYTES

_LINE: Final = re.compile(
    rb"<\d{1,3}>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:[\w.-]{1,255} )?\w{1,32}: "
    rb"(?P<status>[1-5]\d\d) (?P<sent>\d{1,18}) (?P<completed>(?:OK)?)- (?P<length>\d{1,18}|-) "
    rb"(?:-|bytes (?P<start>\d{1,18})-(?P<last>\d{1,18})/(?P<size>\d{1,18}))"
    rb"(?: (?:-|(?P<cached>[A-Z]{1,16})))?\n?"
)
_SENDING: Final = (200, 206)


@dataclass(frozen=True, slots=True)
class SentByNginx:
    """One response of nginx's own: its status, its bytes as far as they left, what became of it.

    ``cached`` is what its cache had of it, in nginx's word; empty if none was asked.
    """

    status: int
    sent: int
    cut: bool
    resumed: bool
    cached: str = ""


def read_line(line: bytes) -> SentByNginx | None:
    """A line of the format ``filestore_sent`` in a syslog message; ``None`` if it is none."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    status, length = int(found["status"]), found["length"]
    long = status in _SENDING and length != b"-" and int(length) > ONE_WRITE_BYTES
    to_the_end = found["size"] is not None and int(found["last"]) + 1 == int(found["size"])
    return SentByNginx(
        status,
        int(found["sent"]),
        cut=long and not found["completed"],
        resumed=long and to_the_end and int(found["start"]) > 0,
        cached=(found["cached"] or b"").decode("ascii"),
    )


def count_line(line: bytes) -> None:
    """Count what a line tells."""
    response = read_line(line)
    if response is None:
        metrics.nginx_lines_unread.inc()
        return
    metrics.sent_by_nginx(
        response.status, response.sent, cut=response.cut, resumed=response.resumed
    )
    if response.cached:
        metrics.looked_up_by_nginx(response.cached)
