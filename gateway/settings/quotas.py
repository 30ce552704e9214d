"""How quotas are written: ``bytes=10GiB,files=1000``.

Knows the names of what can be limited; the meaning is ``model.quota``'s, and a test compares the
two. Does not know whose quota it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from gateway.settings.types import read_size, written_size

SIZES: Final = frozenset({"bytes", "message_bytes"})
_STORED: Final = ("bytes", "files")
_SENT: Final = ("messages", "message_bytes")
OF_USERS: Final = (*_STORED, "things", "channels", "groups", "orgs", "webhooks", "keys", *_SENT)
OF_THINGS: Final = (*_STORED, "webhooks", *_SENT)
OF_GROUPS: Final = (*_STORED, "things")
OF_ORGS: Final = (*_STORED, "groups")
UNLIMITED: Final = "unlimited"
_MOST: Final = 2**62


@dataclass(frozen=True, slots=True)
class Most:
    """Most of something; ``None``: there is no limit."""

    resource: str
    amount: int | None

    def __str__(self) -> str:
        amount = self.amount
        if amount is None:
            return f"{self.resource}={UNLIMITED}"
        return f"{self.resource}={written_size(amount) if self.resource in SIZES else amount}"


def parse_quotas(value: object, names: tuple[str, ...] = OF_USERS) -> tuple[Most, ...]:
    """The list as it was written. Raises ``ValueError`` with what is wanted."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, tuple) else ()
    quotas = tuple(_each(value, names))
    if len({most.resource for most in quotas}) < len(quotas):
        raise ValueError("must not name anything twice")
    return quotas


def parse_amount(resource: str, text: str) -> int:
    """A count, or for bytes a size such as 10GiB. Raises ``ValueError``."""
    digits = str(read_size(text)) if resource in SIZES else text
    if not digits.isascii() or not digits.isdigit() or int(digits[:30]) > _MOST:
        raise ValueError("an amount must be a whole number, or for bytes a size such as 10GiB")
    return int(digits)


def _each(value: str, names: tuple[str, ...]) -> Iterator[Most]:
    for item in filter(None, (part.strip() for part in value.split(","))):
        resource, _, amount = (part.strip() for part in item.partition("="))
        if resource not in names:
            raise ValueError(f"must be a list such as {names[0]}=10GiB of {', '.join(names)}")
        yield Most(resource, None if amount == UNLIMITED else parse_amount(resource, amount))


def _of(names: tuple[str, ...]) -> Callable[[object], object]:
    return partial(parse_quotas, names=names)


UserQuotas = Annotated[tuple[Most, ...], NoDecode, BeforeValidator(_of(OF_USERS))]
ThingQuotas = Annotated[tuple[Most, ...], NoDecode, BeforeValidator(_of(OF_THINGS))]
GroupQuotas = Annotated[tuple[Most, ...], NoDecode, BeforeValidator(_of(OF_GROUPS))]
OrgQuotas = Annotated[tuple[Most, ...], NoDecode, BeforeValidator(_of(OF_ORGS))]
NEWCOMERS: Final = parse_quotas(
    "bytes=10GiB,files=10000,things=1000,channels=1000,groups=1000,orgs=100,webhooks=100,keys=100,"
    "messages=100000,message_bytes=256MiB"
)
