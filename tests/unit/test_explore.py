"""Explorations: what takes part, and what is said of a failure."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests import chance, explore

FAILING = """
from hypothesis import given, strategies as st
from tests.chance import load_hypothesis_profile
load_hypothesis_profile()

@given(content=st.binary(), cuts=st.lists(st.integers(0, 9)))
def test_a_form(content: bytes, cuts: list[int]) -> None:
    assert len(content) < 5
"""


def test_every_file_that_makes_choices_takes_part() -> None:
    assert {
        "tests/unit/test_model_fuzz.py",
        "tests/unit/test_senml.py",
        "tests/differential/test_uploads.py",
    } <= set(explore.files())
    assert "tests.oracle.explore_oracle" in explore.programs()


def test_a_failing_example_can_be_read(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(explore.ROOT))
    pytester.makepyfile(FAILING)
    plain = ("-p", "no:schemathesis", "-p", "no:cacheprovider")  # as setup.cfg has it
    said = pytester.runpytest_subprocess(*plain).stdout.str()
    assert "content=b'" in said
    assert "cuts=[" in said


def test_an_exploration_has_choices_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(chance.EXPLORE, raising=False)
    fixed = chance.choices("here").random()
    assert fixed == chance.choices("here").random() != chance.choices("there").random()
    monkeypatch.setenv(chance.EXPLORE, "7")
    assert fixed != chance.choices("here").random()


def test_what_is_under_way_when_the_time_is_over_is_no_failure(tmp_path: Path) -> None:
    began = time.monotonic()
    ran = explore.run(["-c", "import time; time.sleep(60)"], 1, {})
    assert ran.status is None
    assert time.monotonic() - began < 30
    assert 3 == explore.run(["-c", "import sys; sys.exit(3)"], 30, {}).status
