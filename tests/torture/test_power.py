"""The judge of power cuts notices a gateway that syncs less, or promises sooner, than it must."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from tests.faults.powerloss import Call, linked_first, promised_first, without_syncs
from tests.torture.suite import Stage, Violated, chance
from tests.torture.suites.power import SUITE, PowerCuts, opened_cuts
from tests.torture.worker import stage_folder

SEED = 15
Mutant = Callable[[Sequence[Call]], list[Call]]


@pytest.fixture
async def cuts(postgres_server: str) -> AsyncIterator[PowerCuts]:
    with stage_folder() as folder:
        async with opened_cuts(Stage(folder, postgres_server, SEED)) as cuts:
            yield cuts


MUTANTS: dict[str, Mutant] = {
    "no sync of the file": lambda calls: without_syncs(calls, lambda c: c.path.endswith(".part")),
    "no sync of its folder": lambda calls: without_syncs(calls, lambda c: c.path.count("/") == 3),
    "the name before its sync": linked_first,
    "the row before the blob": promised_first,
}


async def test_a_gateway_that_syncs_or_waits_too_little_is_condemned(cuts: PowerCuts) -> None:
    """By the same judge, who finds nothing in what the real one did."""
    condemned = set[str]()
    for number in range(12):
        calls = await cuts.recorded(number, chance(SUITE, SEED, number))
        cuts.judged(calls)
        for name, mutant in MUTANTS.items():
            try:
                cuts.judged(mutant(calls))
            except Violated:
                condemned.add(name)
        if len(condemned) == len(MUTANTS):
            break
    assert set(MUTANTS) == condemned
