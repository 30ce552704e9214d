"""Rows of ``file_rows`` and ``blobs``, as the values they stand for."""

from __future__ import annotations

from gateway.database.pool import Row
from gateway.model.digest import Digest
from gateway.model.file import Blob, FileRecord, Scope


def record_of(row: Row) -> FileRecord:
    """The file in a row that has the columns of ``file_rows``."""
    return FileRecord(
        id=row["id"],
        scope=Scope(row["kind"], row["owner"]),
        name=row["name"],
        blob=_blob_of_file(row),
        content_type=row["content_type"],
        attributes=row["attributes"],
        creator=row["creator"],
        created_at=row["created_at"],
        modified_at=row["modified_at"],
        updated_at=row["updated_at"],
    )


def blob_of(row: Row) -> Blob:
    """The blob in a row of ``blobs``."""
    return Blob(
        id=row["id"],
        scope=Scope(row["kind"], row["owner"]),
        size=row["size"],
        digest=Digest(row["sha256"].hex()),
        md5=row["md5"],
    )


def _blob_of_file(row: Row) -> Blob | None:
    if row["blob_id"] is None:
        return None
    return Blob(
        id=row["blob_id"],
        scope=Scope(row["blob_kind"], row["blob_owner"]),
        size=row["size"],
        digest=Digest(row["sha256"].hex()),
        md5=row["md5"],
        quarantined=row["quarantined"],
    )
