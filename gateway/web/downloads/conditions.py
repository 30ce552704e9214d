"""Conditions on a change: If-Match and its kin on PUT and DELETE."""

from __future__ import annotations

from uuid import UUID

from aiohttp import web

from gateway.model.errors import PreconditionFailed
from gateway.model.file import FileRecord
from gateway.model.precondition import Outcome, evaluate
from gateway.web.downloads.asked import conditions_of
from gateway.web.downloads.headers import validators_of


def expected_blob(request: web.Request, record: FileRecord | None) -> UUID | None:
    """The blob that must still be current when the change commits; ``None`` for any.

    Raises ``PreconditionFailed`` if the request's conditions do not hold now.
    """
    conditions = conditions_of(request)
    blob = None if record is None else record.blob
    validators = None if record is None or blob is None else validators_of(record)
    if evaluate(conditions, validators, method=request.method) is not Outcome.PROCEED:
        raise PreconditionFailed()
    conditional = conditions.if_match or conditions.if_none_match or conditions.if_unmodified_since
    return blob.id if blob is not None and conditional else None
