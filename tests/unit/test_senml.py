"""SenML packs by RFC 8428."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.messaging.senml import MOST_RECORDS, Record, parse_pack, shown_pack
from gateway.model.errors import Malformed, TooLarge
from tests.chance import examples

NOW = 1_700_000_000.0


def parsed(text: str) -> list[Record]:
    return parse_pack(json.loads(text), now=NOW)


def test_the_published_example_is_resolved() -> None:
    pack = parsed(
        '[{"bn":"some-base-name:","bt":1.276020076001e+09,"bu":"A","bver":5,"n":"voltage",'
        '"u":"V","v":120.1},{"n":"current","t":-5,"v":1.2},{"n":"current","t":-4,"v":1.3}]'
    )
    assert [
        Record("some-base-name:voltage", 1276020076.001, "V", 120.1),
        Record("some-base-name:current", 1276020071.001, "A", 1.2),
        Record("some-base-name:current", 1276020072.001, "A", 1.3),
    ] == pack


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        pytest.param([{"n": "a", "v": 1}], [Record("a", NOW, value=1.0)], id="no time is now"),
        pytest.param([{"n": "a", "v": 1, "t": -60}], [Record("a", NOW - 60, value=1.0)], id="ago"),
        pytest.param(
            [{"n": "a", "v": 1, "t": 2**28 - 1}],
            [Record("a", NOW + 2**28 - 1, value=1.0)],
            id="last relative time",
        ),
        pytest.param([{"n": "a", "v": 1, "t": 2**28}], [Record("a", 2.0**28, value=1.0)], id="first absolute time"),
        pytest.param(
            [{"bt": 2**28, "n": "a", "v": 1, "t": -1}],
            [Record("a", NOW + 2**28 - 1, value=1.0)],
            id="what decides is the sum of times",
        ),
        pytest.param([{"bn": "a", "v": 1}], [Record("a", NOW, value=1.0)], id="base name alone"),
        pytest.param(
            [{"bn": "a", "n": "b", "v": 1}, {"bn": "", "n": "c", "v": 2}],
            [Record("ab", NOW, value=1.0), Record("c", NOW, value=2.0)],
            id="a base can be taken back",
        ),
        pytest.param(
            [{"n": "a", "v": 1}, {"bu": "V", "n": "b", "v": 2}],
            [Record("a", NOW, value=1.0), Record("b", NOW, "V", 2.0)],
            id="a base counts from its record on",
        ),
        pytest.param(
            [{"bv": 20, "n": "a", "v": 1}, {"n": "b"}, {"n": "c", "vs": "x"}],
            [Record("a", NOW, value=21.0), Record("b", NOW, value=20.0), Record("c", NOW, string_value="x")],
            id="base value is added to numbers only",
        ),
        pytest.param(
            [{"bs": 5, "n": "a", "s": 1, "v": 2}, {"n": "b", "v": 1}],
            [Record("a", NOW, value=2.0, sum=6.0), Record("b", NOW, value=1.0, sum=5.0)],
            id="base sum",
        ),
        pytest.param([{"n": "a", "s": 0}], [Record("a", NOW, sum=0.0)], id="a sum is enough"),
        pytest.param([{"n": "a", "vb": False}], [Record("a", NOW, bool_value=False)], id="false is a value"),
        pytest.param([{"n": "a", "vs": ""}], [Record("a", NOW, string_value="")], id="the empty string is a value"),
        pytest.param([{"n": "a", "vd": "aGk"}], [Record("a", NOW, data_value="aGk")], id="data"),
        pytest.param([{"n": "a", "v": 1, "ut": 9}], [Record("a", NOW, value=1.0, update_time=9.0)], id="update time"),
        pytest.param([{"n": "a", "v": 1, "x": [{}]}], [Record("a", NOW, value=1.0)], id="unknown labels are ignored"),
        pytest.param([{"n": "a", "v": 1, "bver": 10}], [Record("a", NOW, value=1.0)], id="our version"),
        pytest.param([{"n": "a", "v": 1, "u": None}], [Record("a", NOW, value=1.0)], id="null is absence"),
    ],
)  # fmt: skip
def test_a_pack_resolves_to(pack: list[Any], expected: list[Record]) -> None:
    assert expected == parse_pack(pack, now=NOW)


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param({}, id="an object"),
        pytest.param([], id="nothing"),
        pytest.param(["a"], id="no record"),
        pytest.param([{"v": 1}], id="no name"),
        pytest.param([{"n": "-a", "v": 1}], id="name begins with a dash"),
        pytest.param([{"n": "a b", "v": 1}], id="name with a space"),
        pytest.param([{"n": "ä", "v": 1}], id="name that is not ASCII"),
        pytest.param([{"n": "a" * 1025, "v": 1}], id="long name"),
        pytest.param([{"bn": "a" * 600, "n": "a" * 600, "v": 1}], id="long together"),
        pytest.param([{"n": 7, "v": 1}], id="name is a number"),
        pytest.param([{"n": "a"}], id="no value"),
        pytest.param([{"bn": "a"}, {"n": "b", "v": 1}], id="only base fields"),
        pytest.param([{"n": "a", "v": 1, "vs": "x"}], id="two values"),
        pytest.param([{"n": "a", "vb": True, "vd": "x"}], id="two other values"),
        pytest.param([{"n": "a", "v": "1"}], id="value is text"),
        pytest.param([{"n": "a", "v": True}], id="value is a boolean"),
        pytest.param([{"n": "a", "vb": 1}], id="boolean is a number"),
        pytest.param([{"n": "a", "vs": 1}], id="string is a number"),
        pytest.param([{"n": "a", "vs": "x" * 65537}], id="long string"),
        pytest.param([{"n": "a", "vd": "a+b"}], id="data in another alphabet"),
        pytest.param([{"n": "a", "v": 1, "t": "now"}], id="time is text"),
        pytest.param([{"n": "a", "v": math.inf}], id="infinite"),
        pytest.param([{"n": "a", "v": 10**400}], id="more than any double"),
        pytest.param([{"bv": 1.7e308, "n": "a", "v": 1.7e308}], id="infinite together"),
        pytest.param([{"n": "a", "v": 1, "ut": -1}], id="negative update time"),
        pytest.param([{"n": "a", "v": 1, "bver": 11}], id="newer version"),
        pytest.param([{"n": "a", "v": 1, "bver": 0}], id="version zero"),
        pytest.param([{"n": "a", "v": 1, "bver": "5"}], id="version is text"),
        pytest.param([{"n": "a", "v": 1, "bver": 5}, {"n": "b", "v": 1, "bver": 6}], id="versions"),
        pytest.param([{"n": "a", "v": 1, "bver": [5]}], id="version is a list"),
        pytest.param([{"n": "a", "v": 1, "rule_": 1}], id="must be understood"),
    ],
)
def test_a_bad_pack_is_refused(pack: object) -> None:
    with pytest.raises(Malformed):
        parse_pack(pack, now=NOW)


def test_a_pack_has_a_limit() -> None:
    assert MOST_RECORDS == len(parse_pack([{"n": "a", "v": 1}] * MOST_RECORDS, now=NOW))
    with pytest.raises(TooLarge):
        parse_pack([{"n": "a", "v": 1}] * (MOST_RECORDS + 1), now=NOW)


def test_a_resolved_pack_is_in_the_order_of_time() -> None:
    records = [Record("b", NOW, "V", 1.0), Record("a", NOW - 1, bool_value=False)]
    assert [
        {"n": "a", "t": NOW - 1, "vb": False},
        {"n": "b", "u": "V", "t": NOW, "v": 1.0},
    ] == shown_pack(records)


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,9}", fullmatch=True)
numbers = st.floats(-1e9, 1e9)
values = st.one_of(
    st.fixed_dictionaries({"v": numbers}),
    st.fixed_dictionaries({"vs": st.text(max_size=5)}),
    st.fixed_dictionaries({"vb": st.booleans()}),
    st.fixed_dictionaries({"vd": st.from_regex(r"[A-Za-z0-9_-]{0,8}", fullmatch=True)}),
    st.fixed_dictionaries({"s": numbers}),
)
bases = st.fixed_dictionaries(
    {}, optional={"bn": names, "bt": numbers, "bu": st.just("A"), "bv": numbers, "bs": numbers}
)
records = st.builds(
    lambda base, name, value: {**base, "n": name, "t": 2.0e9, **value}, bases, names, values
)


@given(st.lists(records, min_size=1, max_size=8))
def test_resolving_what_is_resolved_changes_nothing(pack: list[dict[str, Any]]) -> None:
    """And neither does splitting it into packs of one: a record stands alone."""
    resolved = shown_pack(parse_pack(pack, now=NOW))
    assert resolved == shown_pack(parse_pack(resolved, now=0))
    alone = [shown_pack(parse_pack([record], now=0))[0] for record in resolved]
    assert resolved == alone


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["bn", "bt", "bu", "bv", "bs", "bver", "n", "t", "u", "v", "vs", "vb", "vd", "s", "ut"]
    ), inner, max_size=6),
    max_leaves=12,
)  # fmt: skip


spoilt = st.builds(
    lambda record, label, value: {**record, label: value},
    records,
    st.sampled_from(["bn", "bt", "bu", "bv", "bs", "bver", "n", "t", "u", "v", "vs", "ut", "new"]),
    json_values,
)  # one label of a good record, replaced: records made of nothing are hardly ever taken


def test_anything_is_resolved_or_refused() -> None:
    seen = Counter[str]()

    @examples(400)
    @given(
        pack=st.lists(records | spoilt, min_size=1, max_size=4)
        | st.lists(json_values)
        | json_values
    )
    def never_breaks(pack: object) -> None:
        try:
            found = parse_pack(pack, now=NOW)
        except Malformed:
            seen["refused"] += 1
            return
        seen["resolved"] += 1
        for record in found:
            assert record.name
            assert math.isfinite(record.time)

    never_breaks()
    assert min(seen["refused"], seen["resolved"]) >= 50, seen
