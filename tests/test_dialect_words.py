"""Below the dialects nobody knows one: no name of an API, none of its header names.

The rule is tried on planted words first, so that a rule that no longer bites is seen.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.dialects import DIALECTS

ROOT = Path(__file__).parent.parent
GATEWAY = ROOT / "gateway"

PRODUCTS = ("mainflux", "hasura", "gravwell", "losant")
# Headers that one product alone sends or reads.
HEADERS = ("x-amz-", "gravwell-token", "losantdomain", "accept-version")
WORDS = re.compile("|".join((*PRODUCTS, *HEADERS)), re.IGNORECASE)

# The word, how often, and why it is there all the same.
EXCEPTIONS = {
    "identity/hook.py": (
        4,
        "what the auth hook is asked has this form whichever dialect asks, because hooks exist that read it",
    ),
    "blobs/s3/probing.py": (
        1,
        "a bucket's protocol, which names its headers so, whichever dialect stores in it",
    ),
    "blobs/s3/signing.py": (11, "the same"),
    "web/signing/sigv4.py": (
        19,
        "the fields of a form that is signed so are named by Signature Version 4, whoever takes it",
    ),
}


def words(text: str) -> list[str]:
    return [found.group().lower() for found in WORDS.finditer(text)]


def below_the_dialects() -> list[str]:
    found = (path.relative_to(GATEWAY).as_posix() for path in sorted(GATEWAY.rglob("*.py")))
    return [path for path in found if not path.startswith("dialects/")]


def test_every_dialect_is_a_word_that_is_looked_for() -> None:
    assert [] == [dialect.name for dialect in DIALECTS if not words(dialect.name)]


@pytest.mark.parametrize("path", below_the_dialects())
def test_a_module_below_the_dialects_names_none(path: str) -> None:
    allowed, _ = EXCEPTIONS.get(path, (0, ""))
    assert allowed == len(words((GATEWAY / path).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "sql" / "queries").glob("*.sql")), ids=lambda p: p.name
)
def test_shared_statements_name_none(path: Path) -> None:
    assert [] == words(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "planted",
    [
        pytest.param("from gateway.dialects.hasura.policy import POLICY", id="import"),
        pytest.param("if scope.kind == 'losant': ...", id="scope"),
        pytest.param("headers.get('X-Amz-Signature')", id="header"),
        pytest.param("class MainfluxError(Exception): ...", id="class"),
        pytest.param("# as Gravwell has it", id="comment"),
    ],
)
def test_a_planted_word_is_seen(planted: str) -> None:
    assert [] != words(planted)
