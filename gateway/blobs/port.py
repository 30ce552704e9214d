"""The port to bytes: what every blob store promises, and what only some can do.

A blob is written once, under a random id that is never reused, and never changes.

Knows no disk and no network: the core is four verbs (``stage``, ``open``, ``remove``,
``probe``) and a reader. What a store can do beyond is an *ability*, an attribute that is
``None`` in a store without it: ``Descriptor`` of a reader, ``FrontServed``, ``ClientServed`` and
``Inventory`` of a store. Whoever can use one asks for it, and has another way if there is none.

Rule: a store either has an ability as it is written here or does not offer it. One contract
suite for the core and one for each ability are asked of every store.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from gateway.model.byterange import ByteRange
from gateway.model.file import Blob, FrontPlace, Scope, ShownBytes

MOST_PIECE_BYTES: Final = 256 * 1024
"""The longest piece of ``BlobReader.chunks``, which bounds what a slow download holds."""


class BlobWriter(Protocol):
    """One upload's bytes on their way in: write, measure, seal; or discard."""

    @property
    def blob_id(self) -> UUID:
        """The id these bytes will have once sealed."""

    @property
    def size(self) -> int:
        """Bytes accepted so far."""

    async def write(self, chunk: bytes | memoryview) -> None:
        """Accept ``chunk``, which the caller does not touch again.

        May return before the bytes are stored, with at most three batches in flight; a
        fault in storing them is raised by a later call. Raises ``StorageFull`` or
        ``StorageFailed``.
        """

    async def measure(self) -> Mapping[str, bytes]:
        """Wait until every byte is hashed; the raw digests by algorithm."""

    async def seal(self) -> Blob:
        """Make the bytes permanent under their id, and as durable as the store makes anything.

        On return they can be opened by everybody, and survive what the store survives: with
        the disk store a power cut. On any exception nothing has been named.
        """

    async def discard(self) -> None:
        """Forget the upload. Harmless at any time, any number of times, even after ``seal``."""


class Descriptor(Protocol):
    """Ability of a reader: the blob is an open file, which the kernel can send from.

    It is readable whole until it is closed, even if the blob is removed meanwhile.
    """

    def fileno(self) -> int:
        """A descriptor that ``sendfile`` can read from."""

    def read_ready(self, offset: int, count: int) -> bytes | None:
        """Exactly ``count`` bytes from ``offset`` if that takes no waiting, else ``None``."""

    def is_whole(self) -> bool:
        """Whether the file still has all its bytes. Does not block.

        ``sendfile`` says nothing of a file that ends early.
        """


class BlobReader(Protocol):
    """One blob, open. It gives the blob's bytes or fails, also when it is removed meanwhile."""

    @property
    def size(self) -> int:
        """Bytes in the blob."""

    @property
    def descriptor(self) -> Descriptor | None:
        """The open file behind it, if there is one."""

    async def read(self, offset: int, count: int) -> bytes:
        """Exactly ``count`` bytes from ``offset``.

        Raises ``BlobMissing`` if they are not there, ``StorageFailed`` if they cannot be read.
        """

    def chunks(self, span: ByteRange) -> AsyncGenerator[bytes, None]:
        """The bytes of ``span`` in order, in pieces of 1 to ``MOST_PIECE_BYTES`` bytes.

        An empty span has none. The next piece is read when it is asked for, so that a slow
        taker holds little. Raises as ``read``, in the middle too, and never ends early without
        raising.
        """

    def close(self) -> None:
        """Let go of the blob. Does not block. Any number of times."""


class BlobStore(Protocol):
    """Where bytes live."""

    @property
    def front_served(self) -> FrontServed | None:
        """What a front server needs to send blobs by itself, if it can."""

    @property
    def client_served(self) -> ClientServed | None:
        """What a client needs to fetch a blob by itself, if it can."""

    @property
    def inventory(self) -> Inventory | None:
        """The list of all that is stored, if it can be had."""

    def stage(
        self,
        scope: Scope,
        *,
        algorithms: Collection[str] = (),
        expected_bytes: int | None = None,
        blob_id: UUID | None = None,
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin an upload; what is not sealed by the end of the block is discarded.

        SHA-256 is always computed; ``algorithms`` names further ones as ``hashlib``
        does. ``blob_id`` is that of a blob that comes back from elsewhere; sealing one that is
        there already raises ``StorageFailed`` and changes nothing. Raises ``StorageFull`` at once
        if ``expected_bytes`` cannot fit.
        """

    async def open(self, blob: Blob) -> BlobReader:
        """The blob's bytes. Raises ``BlobMissing`` if they are not there or not of its size."""

    async def remove(self, scope: Scope, blob_id: UUID) -> None:
        """Delete the bytes. Absence is success. Raises ``StorageFailed``."""

    async def probe(self) -> None:
        """Raise ``StorageFailed`` or ``StorageFull`` unless an upload could be stored now."""


class FrontServed(Protocol):
    """Ability of a store: a front server can read its blobs where they lie."""

    async def locate(self, blob: Blob) -> FrontPlace:
        """The blob's place.

        Raises ``BlobMissing`` if it is not there or not of its size: a front server would send
        whatever is there as if it were whole.
        """


class ClientServed(Protocol):
    """Ability of a store: a client that has an address for it can read one blob."""

    async def address_of(self, blob: Blob, shown: ShownBytes) -> str:
        """An absolute URL that whoever has it can GET the blob at for a while, shown like that.

        It is a secret, and is of no use for any other blob or method. Raises ``BlobMissing`` if
        the blob is not there or not of its size.
        """


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """One blob as the store sees it, for the sweeper and the checker."""

    id: UUID
    scope: Scope
    size: int
    modified_at: datetime

    @property
    def place(self) -> str:
        """Where it is among all others."""
        return place_of(self.scope, self.id)


def place_of(scope: Scope, blob_id: UUID) -> str:
    """The place of a blob: ``<kind>/<owner>/<id>``."""
    return f"{scope.kind}/{scope.owner}/{blob_id}"


class Inventory(Protocol):
    """Ability of a store: it can say what it holds, and clear what nobody is writing."""

    async def free_bytes(self) -> int:
        """How much more could be stored, watermarks not regarded. Raises ``StorageFailed``."""

    @property
    def in_order(self) -> bool:
        """Whether ``walk`` goes by the places of blobs, and a walk is cheaper than many looks."""

    def walk(self) -> AsyncIterator[StoredBlob]:
        """Every permanent blob once; in the order of the characters of its place, or in none."""

    async def size_of(self, scope: Scope, blob_id: UUID) -> int | None:
        """How many bytes the blob has, or ``None`` if there is none."""

    async def leftovers(self, *, older_than_seconds: float) -> int:
        """How many there are of what ``clear_incoming`` would remove."""

    async def clear_incoming(self, *, older_than_seconds: float) -> int:
        """Remove leftovers of uploads that no living process is writing; how many."""
