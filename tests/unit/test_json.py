"""What JSON is taken, by its depth and its characters, however it is made up."""

from __future__ import annotations

import pytest

from gateway.model.errors import Malformed
from gateway.model.json import parse_json

LISTS, OBJECTS = ("[", "]"), ('{"a":', "}")
NUL, NO_NUL = r'"\u0000"', r'"\\u0000"'


def nested(levels: int, pair: tuple[str, str], core: str = "1") -> str:
    opening, closing = pair
    return opening * levels + core + closing * levels


REFUSED = {
    "lists too deep": nested(33, LISTS),
    "lists too deep, the last of them empty": nested(33, LISTS, ""),
    "objects too deep": nested(33, OBJECTS),
    "deep behind what is shallow": "[" + "[]," * 1_000 + nested(32, OBJECTS) + "]",
    "NUL": NUL,
    "NUL in a list": f"[1, [{NUL}]]",
    "NUL as a value": f'{{"a": {{"b": {NUL}}}}}',
    "NUL as a key": f"[{{{NUL}: 1}}]",
    "NUL behind an escaped backslash": f"[{NO_NUL}, {NUL}]",
    "half a surrogate pair": r'"\ud800"',
    "nothing": "",
    "two values": "1 2",
    "not a number": "[NaN]",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_json_that_cannot_be_kept_is_refused(text: str) -> None:
    for sent in (text, text.encode()):
        with pytest.raises(Malformed):
            parse_json(sent)


TAKEN: dict[str, tuple[str, object]] = {
    "a number": ("1", 1),
    "an empty list": ("[]", []),
    "an escaped backslash before u0000": (NO_NUL, r"\u0000"),
    "many lists beside one another": ("[" + "[]," * 1_000 + "1]", [[]] * 1_000 + [1]),
}


@pytest.mark.parametrize(("text", "value"), TAKEN.values(), ids=TAKEN)
def test_other_json_is_its_value(text: str, value: object) -> None:
    for sent in (text, text.encode()):
        assert value == parse_json(sent)


@pytest.mark.parametrize("pair", [LISTS, OBJECTS], ids=["lists", "objects"])
def test_thirty_two_levels_are_taken(pair: tuple[str, str]) -> None:
    value: object = parse_json(nested(32, pair))
    for _ in range(32):
        assert isinstance(value, list | dict)
        value = value[0] if isinstance(value, list) else value["a"]
    assert value == 1
