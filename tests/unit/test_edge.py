"""Until when nginx may act on a decision."""

from __future__ import annotations

import math

import pytest

from gateway.web.edge import expiry, shown_seconds


@pytest.mark.parametrize(
    ("clock", "seconds", "expected"),
    [
        pytest.param("1000.000", 2.0, "@1001", id="two seconds from the start of one"),
        pytest.param("1000.999", 2.0, "@1001", id="two from the end of one"),
        pytest.param("1000.500", 1.0, "@1000", id="up to the end of this second"),
        pytest.param("1000.500", 0.5, "@1000", id="exactly to its end"),
        pytest.param("1000.500", 0.499, "0", id="not to its end"),
        pytest.param("1000.500", 0.0, "0", id="no time at all"),
        pytest.param("1000.500", -3.0, "0", id="over already"),
        pytest.param("1000.500", 60.0, "@1059", id="a minute"),
        pytest.param("", 2.0, "0", id="no clock"),
        pytest.param("1", 2.0, "0", id="a clock of another kind"),
        pytest.param("1000.000\n", 2.0, "0", id="a line too many"),
        pytest.param("-1000.000", 2.0, "0", id="before its time"),
    ],
)
def test_nginx_keeps_a_decision_no_longer_than_it_holds(
    clock: str, seconds: float, expected: str
) -> None:
    """It acts on what it was told to keep until @n up to the last moment of second n."""
    assert expected == expiry(clock, seconds)


@pytest.mark.parametrize("milliseconds", range(0, 1000, 37))
@pytest.mark.parametrize("seconds", [0.3, 1.0, 1.5, 2.0, 7.25])
def test_the_last_second_ends_before_the_decision_does(milliseconds: int, seconds: float) -> None:
    now = 1_700_000_000 + milliseconds / 1000
    said = expiry(f"{now:.3f}", seconds)
    last = int(said.removeprefix("@")) if said != "0" else -math.inf
    assert last + 1 <= now + seconds


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(2.0, "2.000", id="two seconds"),
        pytest.param(1.9789, "1.978", id="rounded down"),
        pytest.param(0.0004, "0.000", id="nearly nothing"),
        pytest.param(-3.0, "0.000", id="over already"),
    ],
)
def test_what_is_told_is_never_longer_than_it_holds(seconds: float, expected: str) -> None:
    assert expected == shown_seconds(seconds)
