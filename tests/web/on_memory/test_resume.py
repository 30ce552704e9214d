"""Other people's clients, resuming what came as a stream of pieces."""

from __future__ import annotations

import pytest

from tests.web.test_resume import *  # noqa: F403 - the same tests, on another store


@pytest.fixture(scope="module", params=["direct"])
def way(request: pytest.FixtureRequest) -> str:
    """Without nginx, which would only pass them on."""
    return str(request.param)
