"""Applications, tokens and private files as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gateway.dialects.losant.ids import id_of
from gateway.dialects.losant.records import ApiToken, Application, awaited_upload, is_directory
from gateway.model.file import FileRecord

Shown = dict[str, object]


def shown_time(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown_application(application: Application) -> Shown:
    """An application."""
    owner = application.user_id or application.org_id
    assert owner is not None, "a row has one of them"
    return {
        "id": application.id,
        "applicationId": application.id,
        "creationDate": shown_time(application.created_at),
        "lastUpdated": shown_time(application.updated_at),
        "ownerId": id_of(owner),
        "ownerType": "organization" if application.user_id is None else "user",
        "name": application.name,
        "description": application.description,
    }


def shown_token(token: ApiToken, text: str | None = None) -> Shown:
    """A token; its ``text`` in the response to its making only."""
    shown: Shown = {
        "id": token.id,
        "apiTokenId": token.id,
        "ownerId": token.application,
        "ownerType": "application",
        "creatorId": token.creator_id,
        "creatorType": token.creator_type,
        "name": token.name,
        "description": token.description,
        "creationDate": shown_time(token.created_at),
        "lastUpdated": shown_time(token.updated_at),
        "scope": list(token.scopes),
        "status": "active" if token.active else "inactive",
    }
    if token.expires_at is not None:
        shown["expirationDate"] = shown_time(token.expires_at)
    return shown if text is None else shown | {"token": text}


def shown_file(record: FileRecord, url: str | None = None) -> Shown:
    """A private file or directory, and where its bytes are for a while."""
    attributes = record.attributes
    shown: Shown = {
        "id": record.name,
        "applicationId": record.scope.owner,
        "creationDate": shown_time(record.created_at),
        "lastUpdated": shown_time(record.updated_at),
        "authorId": attributes["author"],
        "authorType": attributes["author_type"],
        "status": attributes["status"],
        "name": attributes["name"],
        "type": attributes["type"],
        "parentDirectory": attributes["parent"],
    }
    if attributes["into"] is not None:
        shown["moveIntoId"] = attributes["into"]
    if not is_directory(record):
        shown |= _content(record)
    return shown if url is None else shown | {"url": url}


def _content(record: FileRecord) -> Mapping[str, Any]:
    """What is known of the bytes: of those that are awaited, if any are."""
    attributes, awaited = record.attributes, awaited_upload(record)
    size, dimensions = attributes["size"], attributes["dimensions"]
    if awaited is not None:
        size, dimensions = awaited.declared.size, awaited.declared.dimensions
    content: dict[str, Any] = {
        "fileSize": size,
        "contentType": record.content_type if awaited is None else awaited.content_type,
        "fileDimensions": dimensions,
        "s3etag": f'"{record.blob.md5}"' if record.blob and record.blob.md5 else None,
        "sha256": record.blob.digest.hex if record.blob else None,
    }
    return {name: value for name, value in content.items() if value is not None}
