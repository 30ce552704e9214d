"""The gateway of these tests keeps its blobs in memory."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def settings() -> dict[str, Any]:
    """Blobs in memory."""
    return {"store": "memory"}
