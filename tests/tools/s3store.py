"""Whether this run keeps blobs in an S3 store: ``make test-s3`` says so, and where it is.

Each data directory has keys of its own, so that a gateway that starts again finds its blobs.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

ENDPOINT = "TESTS_S3_ENDPOINT"
BUCKET = "firmware"
ACCESS_KEY, SECRET_KEY = "gateway-tests", "not-a-secret-of-anybody"


def s3_settings(endpoint: str, prefix: str = "", bucket: str = BUCKET) -> dict[str, object]:
    """Settings of a gateway whose blobs are there, named without ``GATEWAY_``."""
    return {
        "store": "s3",
        "s3_endpoint": endpoint,
        "s3_bucket": bucket,
        "s3_prefix": prefix,
        "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY,
    }


def store_of_run(data_dir: Path, chosen: dict[str, object]) -> dict[str, object]:
    """Where a gateway's blobs are in this run, unless it chose by itself."""
    endpoint = os.environ.get(ENDPOINT)
    if endpoint is None or "store" in chosen:
        return {}
    told = s3_settings(endpoint, hashlib.sha256(str(data_dir).encode()).hexdigest()[:16])
    # The nginx of these tests knows the disk alone: here it passes bytes on.
    return told | ({"accel": "off"} if "accel" in chosen else {})
