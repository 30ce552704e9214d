"""One store for every process that runs these tests, and one bucket prefix per test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from gateway.blobs.s3.options import S3Options
from gateway.blobs.s3.signing import Credential
from gateway.blobs.s3.store import S3BlobStore, open_s3_store
from tests.tools.s3store import ACCESS_KEY, BUCKET, SECRET_KEY
from tests.tools.seaweed import Engine, running_seaweed

_numbers = itertools.count()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    """A running SeaweedFS with a bucket."""
    async with running_seaweed(tmp_path_factory.mktemp("seaweed")) as running:
        yield running


@pytest.fixture
def options(engine: Engine) -> S3Options:
    """How a test reaches its own part of the bucket."""
    return options_of(engine.endpoint)


@pytest.fixture
async def store(options: S3Options) -> AsyncIterator[S3BlobStore]:
    """The store of the test."""
    async with open_s3_store(options) as opened:
        yield opened


def options_of(endpoint: str, **more: object) -> S3Options:
    """The bucket at an address, a part of it that no other test uses; it fails quickly."""
    chosen: dict[str, object] = {
        "bucket": BUCKET,
        "endpoint": endpoint,
        "prefix": f"t/{next(_numbers)}",
        "credential": Credential(ACCESS_KEY, SECRET_KEY),
        "retry_seconds": 0.5,
        "silence_seconds": 5.0,
    }
    return S3Options(**(chosen | more))  # type: ignore[arg-type]


@asynccontextmanager
async def opened(endpoint: str, **more: object) -> AsyncIterator[S3BlobStore]:
    """A store at that address."""
    async with open_s3_store(options_of(endpoint, **more)) as store:
        yield store
