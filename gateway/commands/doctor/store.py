"""The store, if blobs are in a bucket: whether it takes an object and gives it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from gateway.commands.doctor.line import Line, fail, ok
from gateway.model.errors import StartupFailed
from gateway.settings.core import BadSettings, Settings
from gateway.wiring import open_blobs

_STORE: Final = "store"


async def store_lines(settings: Settings) -> AsyncIterator[Line]:
    """What came of trying it; nothing if there is no bucket."""
    if settings.store != "s3":
        return
    try:
        async with open_blobs(settings) as blobs:
            await blobs.probe()
    except StartupFailed as exc:
        yield fail(_STORE, str(exc), "see docs/storage.md")
    except BadSettings as exc:
        yield fail(_STORE, "; ".join(exc.problems), "mend it, then ask again")
    else:
        place = settings.s3_endpoint or f"Amazon S3, {settings.s3_region}"
        yield ok(_STORE, f"bucket {settings.s3_bucket} at {place} takes objects and gives ranges")
