"""A thing that says something, whoever is told of it, and a deliverer that hurries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from gateway.messaging.delivery import DeliveryPolicy
from gateway.messaging.rows.outbox import RetryPolicy
from gateway.messaging.targets import TargetRules
from tests.tools.client import Answer, Client

ANYWHERE = TargetRules(private=True)
PACK: list[dict[str, Any]] = [{"bn": "gate:", "n": "count", "t": 1.6e9, "v": 1}]


def policy_of(*, attempts: int = 1000, **changes: Any) -> DeliveryPolicy:
    """One that tries again at once and reaches receivers on loopback; ``changes`` are its fields."""
    retries = RetryPolicy(attempts, 3600, 0.02, 0.05)
    quick = DeliveryPolicy(2.0, 8, retries, ANYWHERE, poll_seconds=0.05)
    return replace(quick, **changes)


@dataclass(frozen=True)
class Talker:
    """A thing of ``client``, connected to a channel."""

    client: Client
    thing: dict[str, Any]
    channel: str

    @classmethod
    async def of(cls, client: Client) -> Self:
        """A new one."""
        said = await client.ask("POST", "/channels", [{"name": "hall"}])
        channel, thing = said.json["channels"][0]["id"], await client.thing()
        await client.ask("PUT", f"/channels/{channel}/things/{thing['id']}")
        return cls(client, thing, channel)

    async def hook(self, url: str, **fields: object) -> Answer:
        """A webhook for it."""
        body = [{"name": "hook", "format": "json", "url": url, **fields}]
        said = await self.client.ask("POST", f"/webhooks/{self.thing['id']}", body)
        assert 201 == said.status, said.text
        return said

    async def hooks(self) -> list[dict[str, Any]]:
        """What its owner sees of them."""
        said = await self.client.ask("GET", f"/webhooks/{self.thing['id']}")
        return list(said.json["webhooks"])

    async def say(self, pack: object = PACK) -> None:
        """A message; ``bytes`` are sent as they are."""
        said = await self.client.ask(
            "POST",
            f"/http/channels/{self.channel}/messages/under/way",
            pack,
            Authorization=f"Thing {self.thing['key']}",
        )
        assert 202 == said.status, said.text
