"""Suite H in small: 20,000 requests by chance, and some by Hypothesis; ``make oracle`` compares a million."""

from __future__ import annotations

from collections import Counter

from tests.chance import choices
from tests.oracle.requests import CHOICES, of_choices
from tests.oracle.run import compare, run_batch

SEED = 9110
ANSWERS = {
    *("200", "206", "206 parts", "304", "400 malformed", "400 several"),
    *("404", "412", "416"),
}


def test_the_rules_answer_as_the_oracle_does() -> None:
    seen, choice = Counter[str](), choices("oracle")
    for _ in range(20_000):
        answer = compare(of_choices(choice.randbytes(CHOICES)))
        seen[f"{answer.status} {answer.reason}".strip()] += 1
    assert seen.keys() == ANSWERS
    assert min(seen.values()) >= 50


def test_hypothesis_finds_no_request_that_is_answered_otherwise() -> None:
    run_batch(1_000, SEED, Counter())
