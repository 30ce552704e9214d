"""The documented lines of the Mainflux API, on blobs in memory."""

from __future__ import annotations

from tests.dialects.mainflux.test_seed import *  # noqa: F403 - the same tests, on another store
