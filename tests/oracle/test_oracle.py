"""Suite H in small: 20,000 generated requests; ``make oracle`` compares a million."""

from __future__ import annotations

from collections import Counter

from tests.oracle.run import run_batch

SEED = 9110
ANSWERS = {
    *("200", "206", "206 parts", "304", "400 malformed", "400 several"),
    *("404", "412", "416"),
}


def test_the_rules_answer_as_the_oracle_does() -> None:
    seen = Counter[str]()
    for batch in range(4):
        run_batch(5_000, SEED + batch, seen)
    assert seen.keys() == ANSWERS
    assert min(seen.values()) >= 50
