"""Webhooks are counted before the names of their targets are looked up."""

from __future__ import annotations

from uuid import uuid4

import pytest

from gateway.database.pool import Database
from gateway.messaging import webhooks as module
from gateway.messaging.records import Event, Format, WebhookDraft
from gateway.messaging.targets import Target, parse_target
from gateway.messaging.webhooks import MOST_WEBHOOKS, Webhooks
from gateway.model.errors import Malformed


def drafts(count: int, hosts: int) -> list[WebhookDraft]:
    """So many webhooks for so many hosts."""
    return [
        WebhookDraft(
            "w", parse_target(f"http://h{i % hosts}.test/{i}"), Format.JSON, frozenset(Event)
        )
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("expected", "count", "hosts"),
    [
        pytest.param(0, MOST_WEBHOOKS + 1, 1, id="one too many"),
        pytest.param(0, 3000, 3000, id="thousands"),
        pytest.param(1, MOST_WEBHOOKS, 1, id="all to one host"),
        pytest.param(2, MOST_WEBHOOKS, 2, id="to two hosts"),
    ],
)
async def test_a_name_is_looked_up_once_and_only_for_what_may_be_made(
    database: Database, monkeypatch: pytest.MonkeyPatch, expected: int, count: int, hosts: int
) -> None:
    """The thing does not exist, so none is made in the end."""
    asked: list[str] = []

    async def look_up(target: Target) -> list[str]:
        asked.append(target.host)
        return []

    monkeypatch.setattr(module, "_addresses", look_up)
    with pytest.raises(Malformed):
        await Webhooks(database, private_targets=False).create(uuid4(), drafts(count, hosts))
    assert len(asked) == expected
