"""A condition on a change is looked at before the body and held at the commit: by the blob that must still be there."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.model.digest import Digest
from gateway.model.errors import PreconditionFailed
from gateway.model.file import Blob, FileRecord, Scope
from gateway.web.downloads.conditions import expected_blob

SCOPE = Scope("things", "t")
BLOB = Blob(uuid4(), SCOPE, 3, Digest("a" * 64))
MOMENT = datetime(2026, 11, 9, tzinfo=UTC)
RECORD = FileRecord(
    id=uuid4(),
    scope=SCOPE,
    name="a",
    blob=BLOB,
    content_type="a/b",
    attributes={},
    creator="me",
    created_at=MOMENT,
    modified_at=MOMENT,
    updated_at=MOMENT,
)
AT_THAT_DATE = "Mon, 09 Nov 2026 00:00:00 GMT"
HELD = {
    "none": ({}, False),
    "If-Match": ({"If-Match": BLOB.digest.etag}, True),
    "If-Match of anything": ({"If-Match": "*"}, True),
    "If-None-Match of another": ({"If-None-Match": '"another"'}, True),
    "If-Unmodified-Since": ({"If-Unmodified-Since": AT_THAT_DATE}, True),
    "If-Modified-Since, which is for reads": ({"If-Modified-Since": AT_THAT_DATE}, False),
}


@pytest.mark.parametrize(("headers", "held"), HELD.values(), ids=HELD.keys())
def test_what_was_looked_at_must_still_be_there(headers: dict[str, str], held: bool) -> None:
    request = make_mocked_request("PUT", "/files/a", headers=headers)
    assert (BLOB.id if held else None) == expected_blob(request, RECORD)
    if "If-None-Match" in headers:
        assert expected_blob(request, None) is None


@pytest.mark.parametrize(
    "headers",
    [{"If-Match": '"another"'}, {"If-None-Match": "*"}, {"If-None-Match": BLOB.digest.etag}],
    ids=str,
)
def test_what_does_not_hold_now_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(PreconditionFailed):
        expected_blob(make_mocked_request("PUT", "/files/a", headers=headers), RECORD)
