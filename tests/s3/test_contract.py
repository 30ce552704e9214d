"""The S3 store keeps the contract that every store keeps, and offers what it says."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from gateway.blobs.s3.store import S3BlobStore
from tests.contract.abilities import CHECKS, READER, Check
from tests.contract.stores import INVENTORY, fetch_from_disk
from tests.contract.test_blob_store import *  # noqa: F403 - the same tests, on this store

del store  # noqa: F821 - the one of this folder takes its place

ASKED = [check for ability in (READER, INVENTORY) for check in CHECKS[ability]]


@pytest.mark.parametrize("check", ASKED, ids=[c.__name__.replace("_", " ") for c in ASKED])
async def test_it_keeps_what_it_offers(check: Check, store: S3BlobStore, tmp_path: Path) -> None:
    await check(store, partial(fetch_from_disk, tmp_path))
