"""Suite E in small: two gateways in one process, everybody at once; and the judge before histories that are wrong.

``make torture`` does half a million operations at three processes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from gateway.database.pool import open_database
from gateway.identity.rows.users import make_admin
from tests.chance import exploring
from tests.histories.cases import Stage, apis_at, run_case
from tests.histories.defects import DEFECTS
from tests.histories.linear import ABSENT, KEPT, Operation, Saw, Value, Violation, check
from tests.tools.deployment import sql_folders
from tests.tools.gateway import ADMIN_EMAIL, ADMIN_PASSWORD, new_database
from tests.tools.inside import InsideGateway, cheap_hash
from tests.tools.ports import HOST

CASES = 6
TRIES = 30
SEED = "histories" if exploring() is None else f"histories/{exploring()}"


def wrote(began: float, ended: float, version: int, saw: Saw = Saw.ANYTHING) -> Operation:
    return Operation(began, ended, saw, left=version)


def read(began: float, ended: float, version: Value) -> Operation:
    return Operation(began, ended, Saw.THIS, version)


def swapped(began: float, ended: float, old: Value, new: Value) -> Operation:
    return Operation(began, ended, Saw.THIS, old, new)


def created(began: float, ended: float, version: int) -> Operation:
    return wrote(began, ended, version, Saw.NOTHING)


def removed(began: float, ended: float) -> Operation:
    return Operation(began, ended, Saw.SOMETHING, left=ABSENT)


def refused(began: float, ended: float) -> Operation:
    return Operation(began, ended, Saw.SOMETHING)


RIGHT = {
    "nothing": [],
    "what was written is read": [wrote(0, 1, 7), read(2, 3, 7)],
    "a read beside a write sees the old": [wrote(0, 1, 1), wrote(2, 9, 2), read(3, 4, 1)],
    "a read beside a write sees the new": [wrote(0, 1, 1), wrote(2, 9, 2), read(3, 4, 2)],
    "of two writes at once the first to end is there": [wrote(0, 2, 1), wrote(0, 3, 2), read(4, 5, 1)],
    "one of two creates": [created(0, 5, 1), refused(0, 5), read(6, 7, 1)],
    "made again when it was gone": [created(0, 1, 1), removed(2, 5), created(3, 6, 2), read(7, 8, 2)],
    "a chain of swaps at once": [wrote(0, 1, 1), swapped(2, 9, 2, 3), swapped(2, 9, 1, 2), read(10, 11, 3)],
    "many at once": [wrote(0, 100, n) for n in range(20)] + [read(101, 102, 7)],
}  # fmt: skip
WRONG = {
    "what nobody wrote": [wrote(0, 1, 7), read(2, 3, 8)],
    "the old after a write that ended": [wrote(0, 1, 1), wrote(2, 3, 2), read(4, 5, 1)],
    "back and forth": [wrote(0, 1, 1), wrote(2, 9, 2), read(3, 4, 2), read(5, 6, 1)],
    "two readers in two orders": [wrote(0, 9, 1), wrote(0, 9, 2), read(10, 11, 1), read(10, 11, 2)],
    "two creates": [created(0, 5, 1), created(0, 5, 2)],
    "a create over what is there": [wrote(0, 1, 1), created(2, 3, 2)],
    "a create that is refused with nothing there": [refused(0, 1)],
    "two swaps of one version": [wrote(0, 1, 1), swapped(2, 9, 1, 2), swapped(2, 9, 1, 3)],
    "a swap that was lost": [wrote(0, 1, 1), swapped(2, 3, 1, 2), read(4, 5, 1)],
    "read when it was gone": [wrote(0, 1, 1), removed(2, 3), read(4, 5, 1)],
    "removed twice": [wrote(0, 1, 1), removed(2, 3), removed(2, 3)],
    "back from the dead": [wrote(0, 1, 1), removed(2, 3), read(4, 5, ABSENT), read(6, 7, 1)],
    "refused because it changed, and it did not": [wrote(0, 1, 1), Operation(2, 3, Saw.NOT_THIS, 1)],
    "absent before it was removed": [wrote(0, 1, 1), read(2, 3, ABSENT), removed(4, 5)],
    "many at once, and none of them": [wrote(0, 100, n) for n in range(10)] + [read(101, 102, 11)],
}  # fmt: skip


@pytest.mark.parametrize("history", RIGHT.values(), ids=RIGHT.keys())
def test_a_history_that_has_an_order_is_right(history: list[Operation]) -> None:
    check(history)


@pytest.mark.parametrize("history", WRONG.values(), ids=WRONG.keys())
def test_a_history_without_an_order_is_told(history: list[Operation]) -> None:
    with pytest.raises(Violation, match="no order explains this"):
        check(history)


def test_what_is_there_at_the_end_is_known() -> None:
    assert 2 == check(
        [wrote(0, 1, 1), swapped(2, 3, 1, 2), Operation(4, 5, Saw.SOMETHING, left=KEPT)]
    )


@pytest.fixture
async def stage(tmp_path: Path, postgres_server: str) -> AsyncIterator[Stage]:
    """Two gateways on one database and folder."""
    url = await new_database(postgres_server, copied=True)
    async with open_database(url, sql_folders()) as database:
        await make_admin(database, uuid4(), ADMIN_EMAIL, cheap_hash(ADMIN_PASSWORD))
    settings: dict[str, object] = {"trusted_proxies": f"{HOST}/32", "read_cache_seconds": 0}
    async with AsyncExitStack() as stack:
        gateways = [InsideGateway(tmp_path, url, dict(settings)) for _ in range(2)]
        for gateway in gateways:
            await gateway.start()
            stack.push_async_callback(gateway.stop)
        ports = [gateway.port for gateway in gateways]
        async with AsyncExitStack() as lines:
            yield Stage(ports, await apis_at(gateways[0].url), lines)


async def test_everybody_at_once_is_one_after_another(stage: Stage) -> None:
    operations = [await run_case(stage, number, SEED) for number in range(CASES)]
    assert sum(operations) > CASES * 80


async def test_a_defect_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, defect in DEFECTS.items():
        with monkeypatch.context() as planted:
            planted.setattr(defect.owner, defect.attribute, defect.planted)
            assert await is_noticed(stage, name), name


async def is_noticed(stage: Stage, name: str) -> bool:
    """Whether one of the cases is judged to be wrong."""
    for number in range(TRIES):
        try:
            await run_case(stage, number, name)
        except Violation as violation:
            print(f"{name}: {str(violation)[:300]}")
            return "was answered 500" not in str(violation)
    return False
