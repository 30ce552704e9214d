"""Reads: without a handler, from what was looked up a moment ago, in one write; while files and rights change."""

from __future__ import annotations

import pytest

from tests.chance import choices
from tests.differential.conversation import Conversation
from tests.differential.reads import Reads
from tests.differential.trio import Trio

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 16
DEFECTS = [
    "a rendered head has another line",
    "the fast path sees no condition",
    "ready bytes are read from another place",
    "sendfile begins at another byte",
    "the read cache hears of no file",
    "the credential cache hears of nothing",
]


def made(number: int) -> Conversation:
    seed = f"reads/{number}"
    return Reads(choices(seed)).conversation(seed)


CONVERSATIONS = [made(number) for number in range(COUNT)]


@pytest.mark.parametrize("number", range(COUNT))
async def test_nobody_can_tell_how_a_read_was_answered(trio: Trio, number: int) -> None:
    await trio.check(CONVERSATIONS[number])


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_is_noticed(trio: Trio, defect: str) -> None:
    assert await trio.is_noticed(defect, CONVERSATIONS)
