"""Each fast way broken on purpose, in a gateway that is told which: ``python -m tests.differential.defects serve``.

Which defect is in effect stands in the file ``defect`` of the data directory and may change at any time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, cast

from gateway import __main__ as service
from gateway.blobs.disk.batches import Batch
from gateway.blobs.disk.reader import DiskReader
from gateway.model.byterange import ByteRange
from gateway.model.change import FileChanged
from gateway.settings.fastways import FastWay
from gateway.traffic.credentials import PrincipalCache
from gateway.traffic.resolved import ReadCache
from gateway.web import edge
from gateway.web.downloads import fastpath
from gateway.web.downloads.deliver import accel, choose
from gateway.web.server import response
from gateway.web.server.bodies import BodyReceiver

Work = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Defect:
    """What is broken: ``broken`` is called with the right function and its arguments."""

    way: FastWay
    owner: Any
    attribute: str
    broken: Work


def _flip(take: Work, receiver: Any, count: int) -> Any:
    receiver.room()[0] ^= 1  # a bit of what has just come
    return take(receiver, count)


def _touch_later(add: Work, batch: Any, chunk: Any) -> None:
    add(batch, chunk)
    if isinstance(chunk, bytearray) and len(chunk) > 100_000:
        chunk[7] ^= 1  # whoever gave it away goes on using it


def _ignore(on_change: Work, cache: Any, change: Any) -> None:
    if not isinstance(change, FileChanged):
        on_change(cache, change)


def _ignore_all(_: Work, __: Any, ___: Any) -> None:
    """Nobody is forgotten."""


def _see_no_condition(_: Work, message: Any) -> Any:
    ranges = message.headers.getall("Range", ())
    return ranges[0] if message.method == "GET" and ranges else None


def _read_elsewhere(read_ready: Work, reader: Any, offset: int, count: int) -> Any:
    return read_ready(reader, offset & ~15, count)


def _render_otherwise(
    rendered_head: Work, status: int, length: int, lines: bytes, **minor: int
) -> bytes:
    return cast(
        bytes, rendered_head(status, length, lines.replace(b"Accept-Ranges", b"X-Ranges"), **minor)
    )


def _start_elsewhere(send_file: Work, request: Any, head: Any, transfer: Any, *rest: Any) -> Any:
    span = transfer.span
    if span.start > 0:
        transfer = replace(transfer, span=ByteRange(span.start - 1, span.stop - 1))
    return send_file(request, head, transfer, *rest)


def _leave_all_to_nginx(*_: Any) -> bool:
    return True


async def _say_another_version(decide: Work, *arguments: Any) -> Any:
    said = await decide(*arguments)
    if edge.BLOB_HEADER in said.headers:
        said.headers["ETag"] = '"another"'
    return said


DEFECTS = {
    "a rendered head has another line": Defect(
        FastWay.CONNECTION, response, "rendered_head", _render_otherwise
    ),
    "a bit of a piece past the parser is flipped": Defect(
        FastWay.BYPASS, BodyReceiver, "take", _flip
    ),
    "a piece is touched after it was handed over": Defect(
        FastWay.HANDOVER, Batch, "add", _touch_later
    ),
    "the fast path sees no condition": Defect(
        FastWay.FAST_PATH, fastpath, "_plain_range", _see_no_condition
    ),
    "ready bytes are read from another place": Defect(
        FastWay.READ_READY, DiskReader, "read_ready", _read_elsewhere
    ),
    "the read cache hears of no file": Defect(FastWay.READ_CACHE, ReadCache, "on_change", _ignore),
    "the credential cache hears of nothing": Defect(
        FastWay.CREDENTIAL_CACHE, PrincipalCache, "on_change", _ignore_all
    ),
    "sendfile begins at another byte": Defect(
        FastWay.SENDFILE, choose, "send_file", _start_elsewhere
    ),
    "the front server gets every read": Defect(
        FastWay.ACCEL, accel, "sends_the_same", _leave_all_to_nginx
    ),
    "the edge is told of another version": Defect(
        FastWay.EDGE, edge, "decide", _say_another_version
    ),
}


def defect_file(data_dir: Path) -> Path:
    """Where it stands which defect is in effect."""
    return data_dir / "defect"


def plant(name: str, defect: Defect, told: Path) -> None:
    """Have the defect in effect while its name stands in ``told``."""
    right = getattr(defect.owner, defect.attribute)

    @wraps(right)
    def either(*arguments: Any, **named: Any) -> Any:
        if told.exists() and told.read_text(encoding="utf-8") == name:
            return defect.broken(right, *arguments, **named)
        return right(*arguments, **named)

    setattr(defect.owner, defect.attribute, either)


def main() -> int:
    """The service, with every defect planted."""
    told = defect_file(Path(os.environ["GATEWAY_DATA_DIR"]))
    for name, defect in DEFECTS.items():
        plant(name, defect, told)
    return service.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
