"""Uploads: past the parser, in pieces that change hands, published together."""

from __future__ import annotations

import pytest

from tests.chance import choices
from tests.differential.conversation import Conversation, Maker
from tests.differential.trio import Trio

pytestmark = pytest.mark.asyncio(loop_scope="session")

COUNT = 24
DEFECTS = [
    "a bit of a piece past the parser is flipped",
    "a piece is touched after it was handed over",
]


def made(number: int) -> Conversation:
    """One or two connections, one after the other."""
    seed = f"uploads/{number}"
    maker = Maker(choices(seed))
    return Conversation(seed, tuple(maker.uploads() for _ in range(maker.pick.choice((1, 2)))))


CONVERSATIONS = [made(number) for number in range(COUNT)]


@pytest.mark.parametrize("number", range(COUNT))
async def test_nobody_can_tell_how_an_upload_was_received(trio: Trio, number: int) -> None:
    await trio.check(CONVERSATIONS[number])


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_defect_is_noticed(trio: Trio, defect: str) -> None:
    assert await trio.is_noticed(defect, CONVERSATIONS)
