"""Which fast ways are on, as it is written."""

from __future__ import annotations

import pytest

from gateway.settings.core import BadSettings, Configuration, Settings, read_configuration, shown
from gateway.settings.fastways import ALL_WAYS, FastWay, parse_ways, written_ways

NONE: frozenset[FastWay] = frozenset()
TWO = frozenset({FastWay.EDGE, FastWay.ACCEL})


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        pytest.param(ALL_WAYS, "all", id="all"),
        pytest.param(NONE, "off", id="none"),
        pytest.param(TWO, "accel,edge", id="those named"),
        pytest.param(TWO, " edge , accel,", id="in any order, with blanks"),
        pytest.param(ALL_WAYS - TWO, "-edge,-accel", id="all but those named"),
    ],
)
def test_the_ways_are_read_and_written(expected: frozenset[FastWay], text: str) -> None:
    assert expected == parse_ways(text)
    assert expected == parse_ways(written_ways(expected))


@pytest.mark.parametrize("text", ["none", "accel,-edge", "all,edge", "-", "Accel"])
def test_anything_else_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_FAST_WAYS", text)
    with pytest.raises(BadSettings, match="GATEWAY_FAST_WAYS: "):
        read_configuration()


def test_all_of_them_are_on_unless_told_otherwise() -> None:
    assert "all" == shown(Configuration(Settings.model_construct()))["GATEWAY_FAST_WAYS"]
