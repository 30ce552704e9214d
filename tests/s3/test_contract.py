"""The S3 store keeps the contract that every store keeps, and offers what it says."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from functools import partial

import pytest

from gateway.blobs.s3.store import S3BlobStore
from gateway.model.file import FrontPlace
from tests.contract.abilities import CHECKS, READER, Check
from tests.contract.stores import FRONT_SERVED, INVENTORY, SCOPE, deposit
from tests.contract.test_blob_store import *  # noqa: F403 - the same tests, on this store
from tests.tools.seaweed import Engine

del store  # noqa: F821 - the one of this folder takes its place

ASKED = [check for ability in (READER, FRONT_SERVED, INVENTORY) for check in CHECKS[ability]]


def fetch(engine: Engine, place: FrontPlace) -> bytes:
    """As a front server does, which has the store's address and is given the rest."""
    with urllib.request.urlopen(f"{engine.endpoint}/{place.path}?{place.query}") as answer:
        content: bytes = answer.read()
    return content


@pytest.mark.parametrize("check", ASKED, ids=[c.__name__.replace("_", " ") for c in ASKED])
async def test_it_keeps_what_it_offers(check: Check, store: S3BlobStore, engine: Engine) -> None:
    await check(store, partial(fetch, engine))


async def test_without_its_signature_a_place_is_nothing(store: S3BlobStore, engine: Engine) -> None:
    place = await store.locate(await deposit(store, b"mine", SCOPE))
    other = await store.locate(await deposit(store, b"too", SCOPE))
    for path, query in ((place.path, ""), (place.path, other.query)):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            await asyncio.to_thread(fetch, engine, FrontPlace(path, query))
