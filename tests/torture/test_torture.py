"""Each suite in small, and the frame: what was done is kept, gone on with, and told as it was."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.torture import progress
from tests.torture.progress import begun, note_result, table
from tests.torture.runner import Runner
from tests.torture.suite import Case, Failed, Seen, Stage, Suite, Violated, all_suites, run
from tests.torture.suites.soak import Sample, grown
from tests.torture.worker import stage_folder

SEED = 15
# Others have a small form elsewhere: histories in one process, ways that are held to each other.
SMALL = {name: suite for name, suite in all_suites().items() if suite.small}


def test_nearly_every_suite_has_a_small_form() -> None:
    assert {"backup", "histories", "wire"} == all_suites().keys() - SMALL.keys()


@pytest.mark.timeout(400)
@pytest.mark.parametrize("suite", SMALL.values(), ids=SMALL)
async def test_a_suite_in_small_finds_all_as_promised(suite: Suite, postgres_server: str) -> None:
    seen = Seen()
    with stage_folder() as folder:
        stage = Stage(folder, postgres_server, SEED)
        async for _, found in run(suite, stage, range(suite.small)):
            seen += found
    assert suite.counted(suite.small, seen) > 0


@contextlib.asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Case]:
    """Every case draws, and the fourth is never as promised."""

    async def case(number: int, choice: random.Random) -> Seen:
        if number == 3:
            raise Violated("three")
        return Seen(drawn=choice.randrange(1, 7))

    yield case


DICE = Suite("dice", "a die is thrown", "drawn", full=50, small=2, opened=opened)


async def test_a_case_draws_the_same_wherever_it_is_done(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "", SEED)
    row = [seen async for _, seen in run(DICE, stage, [0, 1, 2])]
    alone = [seen async for _, seen in run(DICE, stage, [2])]
    assert row[2:] == alone
    with pytest.raises(Failed, match="3"):
        [seen async for _, seen in run(DICE, stage, [2, 3])]


WORKER = """
import json, sys
first, step = (int(sys.argv[sys.argv.index(name) + 1]) for name in ("--first", "--step"))
for number in range(first, 1000, step):
    if number == 3 and "--mended" not in sys.argv:
        print(json.dumps({"failed": 3, "why": "three"}), flush=True)
        sys.exit(1)
    print(json.dumps({"cases": 1, "seen": {"drawn": 1 + number % 6}}), flush=True)
    if "--cases" in sys.argv:
        break
"""


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(progress, "OUT", tmp_path)
    return tmp_path


async def test_a_run_goes_on_where_it_was_and_keeps_what_failed(kept: Path) -> None:
    command = (sys.executable, "-c", WORKER)
    first = begun(DICE, 20, SEED, again=False)
    assert await Runner(DICE, first, command).run()
    assert [3] == [failure["case"] for failure in first.failures]
    second = begun(DICE, 20, SEED, again=False)
    assert (first.done, first.seen) == (second.done, second.seen)
    second.goal = 60
    assert await Runner(DICE, second, (*command, "--mended")).run()
    assert [] == second.failures
    assert second.count(DICE) >= 60
    assert begun(DICE, 20, SEED + 1, again=False).cases == 0


async def test_a_process_that_says_nothing_has_failed(kept: Path) -> None:
    mute = (sys.executable, "-c", "import time; time.sleep(60)")
    patient = replace(DICE, seconds=0.2, processes=1)
    runner = Runner(patient, begun(patient, 20, SEED, again=False), mute, start_seconds=0.2)
    async with asyncio.timeout(30):
        assert not await runner.run()
    assert runner.failures == [0, 1, 2, 3, 4]


FLAT = [Sample(20 + n % 3, 8, 90_000 + n % 7 * 500, 30, 9_000 + n) for n in range(90)]


@pytest.mark.parametrize(
    ("expected", "samples"),
    [
        pytest.param([], FLAT, id="nothing"),
        pytest.param(
            ["descriptors: 36 to 96"],
            [replace(each, descriptors=21 + n) for n, each in enumerate(FLAT)],
            id="a descriptor a round",
        ),
        pytest.param(
            ["memory: 104500 to 164500"],
            [replace(each, memory=90_000 + 1_000 * n) for n, each in enumerate(FLAT)],
            id="a megabyte a round",
        ),
    ],
)
def test_a_slope_is_told_from_what_comes_and_goes(
    expected: list[str], samples: list[Sample]
) -> None:
    assert expected == grown(samples)


def test_the_result_says_what_is_not_done_yet(kept: Path) -> None:
    found = begun(DICE, 50, SEED, again=False)
    found.done, found.seen, found.seconds = [4, 3], Seen(drawn=20), 7.2
    note_result(DICE, found, kept / "result.json")
    assert json.loads((kept / "result.json").read_text())["dice"]["count"] == 20
    assert "| `dice` | 20 drawn of 50, to be continued | 0 | 7 s | 15 |" in table(
        kept / "result.json"
    )
