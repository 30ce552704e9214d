"""What is stored of each live blob: looked up one by one, or in one walk beside the rows.

A store that is listed in the order of places is walked once, and the rows beside it: a request for
a thousand blobs, and none for a row. The rows are of one moment and the list is of another, so
what does not fit is looked at again before anybody hears of it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from gateway.blobs.port import Inventory, StoredBlob, place_of
from gateway.catalogue.port import BlobLedger
from gateway.model.file import Blob

Sized = tuple[Blob, int | None]


async def walked_sizes(inventory: Inventory, ledger: BlobLedger) -> AsyncGenerator[Sized, None]:
    """Every live blob, and how many bytes are stored of it."""
    async with aclosing(ledger.blobs_by_place()) as rows:
        async for blob, size in merged(rows, inventory.walk()):
            fits = size == blob.size
            yield blob, size if fits else await inventory.size_of(blob.scope, blob.id)


async def merged(
    rows: AsyncIterator[Blob], stored: AsyncIterator[StoredBlob]
) -> AsyncIterator[Sized]:
    """Each row with the size of its blob, ``None`` if there is none; both are in order."""
    found = await anext(stored, None)
    async for blob in rows:
        place = place_of(blob.scope, blob.id)
        while found is not None and found.place < place:
            found = await anext(stored, None)
        yield blob, found.size if found is not None and found.place == place else None
