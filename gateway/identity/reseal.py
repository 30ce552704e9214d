"""One secret in place of another: what is kept under the previous one is kept under the present.

Knows what is kept under a secret: the keys of things. Tokens are kept nowhere; those of the
previous secret are believed for as long as that is known.

Rule: each thing is a transaction of its own, and is changed only if it is as it was read. So this
may be stopped and begun again at any moment, and everybody is served meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.database.pool import Database, Row, Taken
from gateway.identity.secrets import Keyring

# Below what `alter_rights` takes for a change of everybody's.
_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Resealed:
    """How many things have keys under the present secret now, and what is left of the previous one.

    ``conflicts`` are things whose key another thing has as well; ``api_keys`` are those in force
    that end once the previous secret is forgotten.
    """

    things: int
    conflicts: tuple[UUID, ...]
    api_keys: int


async def reseal(database: Database, keyring: Keyring) -> Resealed:
    """Seal every thing's key under the present secret; nothing is kept under another one then.

    Raises ``Failure`` for a key that was sealed under a secret that is not known.
    """
    present, count, conflicts, after = keyring.fingerprints[0], 0, list[UUID](), UUID(int=0)
    await database.run("note_secret", present)
    while found := await database.rows("sealed_otherwise", keyring.mark, after, _AT_ONCE):
        for row in found:
            if await _reseal_thing(database, keyring, row):
                count += 1
            else:
                conflicts.append(row["id"])
        after = found[-1]["id"]
    if not conflicts:
        await database.run("settle_secret", present)
    ending = await database.value("keys_before_secret", present)
    return Resealed(count, tuple(conflicts), int(ending))


async def _reseal_thing(database: Database, keyring: Keyring, row: Row) -> bool:
    """Whether no other thing has its key."""
    key = keyring.open_key(row["key_sealed"], row["id"])
    sealed = (keyring.key_digest(key), keyring.seal_key(key, row["id"]))
    try:
        await database.run("reseal_thing", row["id"], row["key_digest"], *sealed)
    except Taken:
        return False
    return True
