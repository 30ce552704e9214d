"""Good copies of damaged blobs, out of a folder of backups.

Rule: a copy is hashed on its way, and what is in its place goes only when it is known to be right.
"""

from __future__ import annotations

from gateway.backup.vault import Vault
from gateway.blobs.port import BlobStore
from gateway.model.digest import SHA256
from gateway.model.file import Blob


class VaultCopies:
    """The blobs of a vault, of whichever of its backups."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def put_back(self, blob: Blob, blobs: BlobStore) -> bool:
        """Give the store the blob's right bytes, if they are here. Raises ``StorageFailed``."""
        if self._vault.size_of(blob.id) != blob.size:
            return False
        staged = blobs.stage(blob.scope, expected_bytes=blob.size, blob_id=blob.id)
        async with staged as writer:
            try:
                for piece in self._vault.pieces(blob):
                    await writer.write(piece)
            except OSError:
                return False
            if (await writer.measure())[SHA256] != blob.digest.raw:
                return False
            await blobs.remove(blob.scope, blob.id)
            await writer.seal()
        return True
