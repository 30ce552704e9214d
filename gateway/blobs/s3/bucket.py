"""One bucket: its verbs, each watched, each with its errors in our words.

Theory of operation. The client library (obstore) makes the requests, signs them and tries again
what may be tried again; all of it happens in threads of its own. Nothing of it is cancelled here:
a cancelled upload would leave its parts in the store. Its errors have a text and seldom a status,
so no decision is taken by them; whoever has to know what came of a request looks (``head``).

Of reads only a missing object is told from everything else. A store that is away, that refuses us
or that answers nonsense is ``StorageUnavailable``: to be tried again, and nobody's request was
wrong.

Knows the library. Does not know blobs, hashes or who reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config

from gateway.blobs.s3.options import S3Options
from gateway.model.errors import (
    BlobMissing,
    GatewayError,
    StorageFailed,
    StorageFull,
    StorageUnavailable,
)

StoreWatch = Callable[[str, str, float], None]
"""Is told of each request: its verb, what came of it, and its seconds."""

_FULL: Final = (
    "507 Insufficient",
    "InsufficientStorage",
    "StorageFull",
    "QuotaExceeded",
    "NoSpace",
)
_PAGE: Final = 1000
_LONGEST: Final = timedelta(days=7)
_CONNECT: Final = timedelta(seconds=5)
_RETRIES: Final = 6
_PIECE_BYTES: Final = 64 * 1024
_MOST_IDLE: Final = 32
_MOST_SMALL: Final = 64
_MOST_OPEN: Final = 64


class KeyTaken(StorageFailed):
    """There is something under this key already."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object as the store lists it."""

    key: str
    size: int
    etag: str | None
    modified_at: datetime


def unwatched(verb: str, outcome: str, seconds: float) -> None:
    """Nobody counts."""
    del verb, outcome, seconds


class ObjectBody:
    """The body of an answer, read when it is asked for. Whoever has it closes it."""

    def __init__(
        self, pieces: AsyncIterator[bytes], watch: StoreWatch, on_close: Callable[[], None]
    ) -> None:
        self._pieces: AsyncIterator[bytes] | None = pieces
        self._watch = watch
        self._on_close = on_close

    async def next(self) -> bytes:
        """More of it; nothing at its end. A body that is cut raises, too."""
        assert self._pieces is not None, "it is open"
        try:
            with s3_errors(missing=True):
                return await anext(self._pieces, b"")
        except GatewayError:
            self._watch("get", "cut", 0.0)
            raise

    def close(self) -> None:
        """Hang up, with all that came and was not read. Any number of times."""
        if self._pieces is not None:
            self._pieces = None
            self._on_close()


class S3Bucket:
    """The verbs. Everything raises ``StorageUnavailable`` unless it says otherwise."""

    def __init__(self, options: S3Options, watch: StoreWatch = unwatched) -> None:
        self.options = options
        self._watch = watch
        self._store = _client(options)
        # A connection to the store has buffers, too: a thousand devices do not ask all at once.
        self._small = asyncio.Semaphore(_MOST_SMALL)
        self.opened = 0
        """How many bodies are open."""

    async def put(self, key: str, content: Sequence[bytes], *, create: bool = False) -> None:
        """One object in one request. Raises ``StorageFull``, with ``create`` also ``KeyTaken``."""
        with self._watched("put"):
            mode: Literal["create", "overwrite"] = "create" if create else "overwrite"
            await obstore.put_async(
                self._store, key, content or b"", mode=mode, use_multipart=False
            )

    async def put_parts(
        self, key: str, pieces: AsyncIterator[bytes], *, part_bytes: int, at_once: int
    ) -> None:
        """An object of parts. If ``pieces`` raises, nothing of it is left. Raises ``StorageFull``.

        Not to be cancelled: its parts would stay.
        """
        with self._watched("put"):
            await obstore.put_async(
                self._store,
                key,
                pieces,
                chunk_size=part_bytes,
                max_concurrency=at_once,
                use_multipart=True,
            )

    async def head(self, key: str) -> Entry:
        """What there is to know of an object. Raises ``BlobMissing``."""
        async with self._small:
            with self._watched("head", missing=True):
                return _entry(await obstore.head_async(self._store, key))

    async def get(self, key: str, start: int, stop: int, etag: str | None) -> bytes:
        """Bytes of the object that has this ``etag``. Raises ``BlobMissing``."""
        options = _options(start, stop, etag)
        async with self._small:
            with self._watched("get", missing=True):
                found = await obstore.get_async(self._store, key, options=options)
                return bytes(await found.bytes_async())

    async def open(self, key: str, start: int, stop: int, etag: str | None) -> ObjectBody | None:
        """The same, to be read as it comes; ``None`` if too many bodies are open already."""
        if self.opened >= _MOST_OPEN:
            return None
        self.opened += 1
        options = _options(start, stop, etag)
        try:
            with self._watched("get", missing=True):
                found = await obstore.get_async(self._store, key, options=options)
        except BaseException:
            self._closed()
            raise
        return ObjectBody(found.stream(min_chunk_size=_PIECE_BYTES), self._watch, self._closed)

    def _closed(self) -> None:
        self.opened -= 1

    async def delete(self, key: str) -> None:
        """Remove an object. Absence is success."""
        with self._watched("delete"), contextlib.suppress(FileNotFoundError):
            await obstore.delete_async(self._store, key)

    async def list(self, prefix: str) -> AsyncGenerator[list[Entry], None]:
        """All objects below ``prefix`` in the order of their keys' bytes, a page at a time."""
        pages = obstore.list(self._store, prefix, chunk_size=_PAGE)
        while True:
            with self._watched("list"):
                page = await anext(pages, None)
            if page is None:
                return
            yield [_entry(found) for found in page]

    async def sign(self, key: str, seconds: float) -> str:
        """An address under which whoever has it may read the object for so long."""
        with self._watched("sign"):
            lasting = timedelta(seconds=seconds)
            address: str = await obstore.sign_async(self._store, "GET", key, lasting)
            return address

    @contextlib.contextmanager
    def _watched(self, verb: str, *, missing: bool = False) -> Iterator[None]:
        began, outcome = time.monotonic(), "done"
        try:
            with s3_errors(missing=missing):
                yield
        except GatewayError as exc:
            outcome = _OUTCOME_OF.get(type(exc), "unavailable")
            raise
        except Exception:  # the source of an upload raised: it is not to be
            outcome = "discarded"
            raise
        finally:
            self._watch(verb, outcome, time.monotonic() - began)


_OUTCOME_OF: Final[dict[type[GatewayError], str]] = {
    BlobMissing: "missing",
    KeyTaken: "refused",
    StorageFull: "full",
}


@contextlib.contextmanager
def s3_errors(*, missing: bool) -> Iterator[None]:
    """The library's errors in our words; ``missing`` where an absent object is a ``BlobMissing``.

    What changed under its key since it was looked at is missing, too.
    """
    try:
        yield
    except FileNotFoundError as exc:
        if missing and "NoSuchBucket" not in str(exc):
            raise BlobMissing() from exc
        raise StorageUnavailable() from exc
    except (AlreadyExistsError, PreconditionError) as exc:
        raise (BlobMissing() if missing else KeyTaken()) from exc
    except (BaseError, OSError, ValueError, RuntimeError) as exc:
        text = str(exc)
        if any(sign in text for sign in _FULL):
            raise StorageFull() from exc
        raise StorageUnavailable() from exc


def _client(options: S3Options) -> S3Store:
    """The library's client. It has threads of its own, so it is made after workers are forked."""
    return S3Store(
        options.bucket,
        config=_bucket_config(options),
        client_options=_http_config(options),
        retry_config={
            "max_retries": _RETRIES,
            "retry_timeout": timedelta(seconds=options.retry_seconds),
            "backoff": {"max_backoff": timedelta(seconds=2)},
        },
    )


def _bucket_config(options: S3Options) -> S3Config:
    config: S3Config = {
        "region": options.region,
        "virtual_hosted_style_request": options.virtual_host,
        "checksum_algorithm": options.checksum.upper(),
        "unsigned_payload": not options.signed_payload,
    }
    if options.endpoint is not None:
        config["endpoint"] = options.bucket_url if options.virtual_host else options.base
    if options.credential is not None:
        config["access_key_id"] = options.credential.access_key
        config["secret_access_key"] = options.credential.secret_key
        if options.credential.token is not None:
            config["session_token"] = options.credential.token
    return config


def _http_config(options: S3Options) -> ClientConfig:
    config: ClientConfig = {
        "allow_http": True,
        "connect_timeout": _CONNECT,
        # Of a whole exchange: a device may read for hours. What is silent ends by the other.
        "timeout": _LONGEST,
        "read_timeout": timedelta(seconds=options.silence_seconds),
        # Each keeps the buffer that it has grown to.
        "pool_max_idle_per_host": str(_MOST_IDLE),
        "user_agent": "filestore-gateway",
    }
    if options.authorities is not None:
        config["root_certificate"] = options.authorities
    return config


def _options(start: int, stop: int, etag: str | None) -> obstore.GetOptions:
    wanted: obstore.GetOptions = {"range": (start, stop)}
    if etag is not None:
        wanted["if_match"] = etag
    return wanted


def _entry(found: obstore.ObjectMeta) -> Entry:
    return Entry(found["path"], found["size"], found["e_tag"], found["last_modified"])
