"""SeaweedFS with a bucket, and obstore by itself: what a store costs without a gateway."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.bench import Bench, Missing
from benchmarks.curl import Transfer

if TYPE_CHECKING:
    from obstore.store import S3Store

    from tests.tools.seaweed import Engine

CLIENT: Final = "obstore by itself"
_PART_BYTES: Final = 5 * 1024 * 1024
AT_ONCE: Final = 4
_PIECE_BYTES: Final = 256 * 1024


def seaweed(bench: Bench) -> Engine:
    """The store of the run, which stays up until its end. Raises ``CannotRun``."""
    return bench.shared("seaweed", lambda: bench.stack.enter_context(_running(bench)))


def settings(engine: Engine, prefix: str) -> dict[str, Any]:
    """What a gateway is told to keep its blobs there."""
    from tests.tools.s3store import s3_settings

    return {name: str(value) for name, value in s3_settings(engine.endpoint, prefix).items()}


def send(engine: Engine, path: Path, key: str) -> Transfer:
    """The file in parts as the gateway makes them, from the page cache, hashed by nobody."""
    import obstore

    began = time.perf_counter()
    obstore.put(_client(engine), key, path, chunk_size=_PART_BYTES, max_concurrency=AT_ONCE)
    return _transfer(path.stat().st_size, began, "obstore.put")


def fetch(engine: Engine, key: str) -> Transfer:
    """The object, thrown away as it comes."""
    import obstore

    began, size = time.perf_counter(), 0
    for piece in obstore.get(_client(engine), key).stream(min_chunk_size=_PIECE_BYTES):
        size += len(piece)
    return _transfer(size, began, "obstore.get")


def forget(engine: Engine, key: str) -> None:
    """Remove an object."""
    import obstore

    obstore.delete(_client(engine), key)


def _client(engine: Engine) -> S3Store:
    from tests.tools.s3store import BUCKET

    return engine.client(BUCKET)


def _transfer(size: int, began: float, command: str) -> Transfer:
    seconds = time.perf_counter() - began
    return Transfer(size, seconds, seconds, command)


@contextlib.contextmanager
def _running(bench: Bench) -> Iterator[Engine]:
    try:
        from tests.tools.seaweed import SeaweedMissing, running_seaweed
    except ImportError as exc:
        raise Missing(f"{exc.name} is missing: pip install -e '.[s3,s3-test]'") from exc
    with asyncio.Runner() as runner:
        opening = running_seaweed(bench.folder("seaweed"))
        try:
            engine = runner.run(opening.__aenter__())
        except SeaweedMissing as exc:
            raise Missing(str(exc)) from exc
        try:
            yield engine
        finally:
            runner.run(opening.__aexit__(None, None, None))
