"""Suite A in small: what ``make crash`` does ten thousand times."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.database.pool import Database
from tests.faults.crash import crash

KILLS = 40


@pytest.mark.timeout(300)
async def test_nothing_acknowledged_is_lost_however_often_the_service_is_killed(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    tally = await crash(tmp_path, database_url, KILLS, seed=40)
    assert KILLS == tally.kills
    assert tally.acknowledged > KILLS
    assert tally.under_way > 0
    assert tally.from_outside < KILLS
