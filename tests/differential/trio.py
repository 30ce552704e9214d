"""Three gateways on one database and one folder: every fast way off, every one on, every one on and broken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.differential.conversation import Conversation
from tests.differential.defects import defect_file
from tests.differential.held import Difference, Holder, Seen, check_alike


@dataclass(frozen=True, slots=True)
class Trio:
    """Who talks to the three."""

    plain: Holder
    fast: Holder
    broken: Holder
    _plain: dict[str, Seen] = field(default_factory=dict)

    def behind(self, *ports: int) -> Trio:
        """The same three, each talked to through its nginx."""
        plain, fast, broken = ports
        return Trio(self.plain.behind(plain), self.fast.behind(fast), self.broken.behind(broken))

    async def plainly(self, conversation: Conversation) -> Seen:
        """What it comes to with every fast way off; held once."""
        if conversation.seed not in self._plain:
            self._plain[conversation.seed] = await self.plain.hold(conversation)
        return self._plain[conversation.seed]

    async def check(self, conversation: Conversation) -> None:
        """Raise ``Difference`` if it matters whether the fast ways are on."""
        plain = await self.plainly(conversation)
        check_alike(plain, await self.fast.hold(conversation), conversation)

    async def is_noticed(self, defect: str, conversations: Iterable[Conversation]) -> bool:
        """Whether these conversations tell the gateway that has this defect.

        A defect that breaks down in itself, with a 500, proves nothing.
        """
        told = defect_file(self.broken.gateway.data_dir)
        told.write_text(defect, encoding="utf-8")
        try:
            for conversation in conversations:
                plain = await self.plainly(conversation)
                check_alike(plain, await self.broken.hold(conversation), conversation)
        except Difference as difference:
            return "fast  500" not in str(difference)
        finally:
            told.unlink()
        return False
