"""Secrets: passwords, the keys of things, and the sub-keys of the deployment's secret.

Knows argon2 and the ciphers; does not know where anything is stored, nor where the
deployment's secret comes from.

Rule: a secret leaves this module only as a digest, sealed, or to the caller who owns it.
No secret is part of a ``repr`` or of an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.model.errors import Failure, Malformed, StartupFailed
from gateway.process.holder import HOLDER
from gateway.process.priority import give_way
from gateway.traffic.limits import ConcurrencyLimit
from gateway.traffic.turns import Turns

T = TypeVar("T")

SECRET_BYTES: Final = 32
_THING_KEY: Final = re.compile(r"[\x21-\x7e]{16,256}")
_PASSWORD_CHARACTERS: Final = range(8, 1025)
_LEAST_DIFFERENT: Final = 6
_MOST_THREADS: Final = 2
_NONCE_BYTES: Final = 12
_MARKED: Final = b"\x01"
_KEY_ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class PasswordCost:
    """What one argon2id hash takes: memory in KiB, and passes over it."""

    kib: int
    passes: int


RECOMMENDED: Final = PasswordCost(19 * 1024, 2)
"""OWASP's first recommendation for argon2id: 19 MiB, two passes, one lane."""


class Keyring:
    """The deployment's sub-keys, one per purpose, so that none can stand in for another.

    ``secret`` is at least 32 random bytes. What was made under a ``previous`` one is still known;
    what is made is made under ``secret``. Raises ``StartupFailed`` for fewer bytes.
    """

    def __init__(self, secret: bytes, *previous: bytes) -> None:
        self._keys: Final = tuple(_SubKeys(each) for each in dict.fromkeys((secret, *previous)))
        self._present: Final = self._keys[0]
        self.token_keys: Final = tuple(keys.token_key for keys in self._keys)
        """The one to sign with first."""
        self.fingerprints: Final = tuple(keys.fingerprint for keys in self._keys)
        """That of the present secret first."""

    @property
    def mark(self) -> bytes:
        """What a key begins with that is sealed under the present secret."""
        return self._present.mark

    def key_digest(self, thing_key: str) -> bytes:
        """The 32 bytes under which a thing is kept to be looked up by its key."""
        return self._present.digest(thing_key)

    def key_digests(self, thing_key: str) -> tuple[bytes, ...]:
        """All under which it may have been kept."""
        return tuple(keys.digest(thing_key) for keys in self._keys)

    def seal_key(self, thing_key: str, thing_id: UUID) -> bytes:
        """The key encrypted for its thing's row: 9 bytes of mark, 12 of nonce, text, 16 of tag."""
        nonce = os.urandom(_NONCE_BYTES)
        text = self._present.cipher.encrypt(nonce, thing_key.encode(), thing_id.bytes)
        return self._present.mark + nonce + text

    def open_key(self, sealed: bytes, thing_id: UUID) -> str:
        """The key that was sealed for this thing. Raises ``Failure`` if it was not."""
        for keys in self._keys:
            # Without a mark: as they were sealed before there was one.
            for body in (sealed.removeprefix(keys.mark), sealed):
                with contextlib.suppress(InvalidTag, ValueError):
                    nonce, text = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
                    return keys.cipher.decrypt(nonce, text, thing_id.bytes).decode()
        raise Failure("a thing's key was not sealed under this deployment's secret")


class _SubKeys:
    """Those of one secret."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise StartupFailed(f"the deployment's secret is shorter than {SECRET_BYTES} bytes")
        self.token_key: Final = _derive(secret, b"token signing")
        self.cipher: Final = ChaCha20Poly1305(_derive(secret, b"thing key sealing"))
        self.fingerprint: Final = _derive(secret, b"fingerprint")
        self.mark: Final = _MARKED + self.fingerprint[:_KEY_ID_BYTES]
        self._lookup_key: Final = _derive(secret, b"thing key lookup")

    def digest(self, thing_key: str) -> bytes:
        return hmac.digest(self._lookup_key, thing_key.encode(), "sha256")


class RowSeal:
    """Encrypts small secrets for their rows. The first of ``keys`` seals, any of them opens."""

    def __init__(self, *keys: bytes) -> None:
        self._ciphers: Final = {hashlib.sha256(key).digest()[:_KEY_ID_BYTES]: key for key in keys}
        self.mark: Final = next(iter(self._ciphers))
        """What is sealed with the first key begins with."""

    def seal(self, secret: bytes, bound_to: bytes) -> bytes:
        """8 bytes of mark, 12 of nonce, text, 16 of tag; opened only with the same ``bound_to``."""
        nonce, cipher = os.urandom(_NONCE_BYTES), ChaCha20Poly1305(self._ciphers[self.mark])
        return self.mark + nonce + cipher.encrypt(nonce, secret, bound_to)

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """What was sealed. Raises ``Failure`` if it was not, for this, with one of the keys."""
        mark, body = sealed[:_KEY_ID_BYTES], sealed[_KEY_ID_BYTES:]
        try:
            cipher = ChaCha20Poly1305(self._ciphers[mark])
            return cipher.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], bound_to)
        except (KeyError, InvalidTag, ValueError) as exc:
            raise Failure("a secret was not sealed under this deployment's secret") from exc


def webhook_seal(secret: bytes, *previous: bytes) -> RowSeal:
    """What the secrets of webhooks are sealed with, by those of the deployment."""
    return RowSeal(*(_derive(each, b"webhook sealing") for each in (secret, *previous)))


def dialect_key(secret: bytes, dialect: str, purpose: str) -> bytes:
    """A sub-key of the deployment's secret that no other dialect and no other purpose has."""
    return _derive(secret, f"dialect {dialect} {purpose}".encode())


def _threads() -> int:
    """One or two, and no more than half of the cores."""
    return max(1, min(_MOST_THREADS, (os.cpu_count() or 1) // 2))


class Passwords:
    """Password hashes, made and checked on a few threads of their own.

    At most ``threads`` hashes (19 MiB of memory and some 30 ms each) run at once and
    ``waiting`` more wait, in turns and never all of one holder; beyond that ``TooMany`` is raised,
    so that a flood of logins takes neither the memory nor the threads that uploads need, and never
    more than half of the cores: the event loop needs one. The threads have a low priority: they
    hash without the interpreter's lock, for which the loop would wait.
    """

    def __init__(
        self, *, cost: PasswordCost = RECOMMENDED, threads: int = _threads(), waiting: int = 64
    ) -> None:
        self._hasher: Final = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.kib, parallelism=1
        )
        self._pool: Final = ThreadPoolExecutor(threads, "password", give_way)
        self._places: Final = ConcurrencyLimit(threads + waiting)
        self._turns: Final = Turns(threads)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """The argon2id hash in its own text form."""
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password is the hashed one; without a hash, ``False`` after the same work.

        The work is the point: an unknown e-mail must not be told from a wrong password
        by how long the answer takes.
        """
        return await self._run(lambda: self._matches(password, hashed)) and hashed is not None

    def is_outdated(self, hashed: str) -> bool:
        """Whether the hash was made at another cost than new ones are."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """End the threads once their work is done."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _matches(self, password: str, hashed: str | None) -> bool:
        try:
            return self._hasher.verify(hashed or self._decoy_hash(), password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False

    def _decoy_hash(self) -> str:
        if self._decoy is None:
            self._decoy = self._hasher.hash(secrets.token_urlsafe())
        return self._decoy

    async def _run(self, work: Callable[[], T]) -> T:
        holder = HOLDER.get()
        with self._places.taken(holder):
            await self._turns.take(holder)
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
            finally:
                self._turns.give_back(holder)


def check_password(password: object) -> str:
    """The password itself: 8 to 1024 characters, spaces included. Raises ``Malformed``."""
    if not isinstance(password, str) or len(password) not in _PASSWORD_CHARACTERS:
        raise Malformed("a password has 8 to 1024 characters")
    return _encodable(password)


def new_one_time_token() -> tuple[str, bytes]:
    """A token of 256 random bits, and the digest that is kept of it."""
    token = secrets.token_urlsafe(SECRET_BYTES)
    return token, one_time_digest(token)


def one_time_digest(token: str) -> bytes:
    """What is kept of a token. As it cannot be guessed, nothing slower than SHA-256 is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_thing_key() -> str:
    """A key of some 256 random bits, in 43 characters, of which the first is no dash.

    Command lines take what begins with one for an option.
    """
    while (key := secrets.token_urlsafe(32)).startswith("-"):
        pass
    return key


def check_thing_key(key: object) -> str:
    """The key itself: 16 to 256 visible ASCII characters. Raises ``Malformed``."""
    if not isinstance(key, str) or not _THING_KEY.fullmatch(key):
        raise Malformed("a thing's key has 16 to 256 visible ASCII characters")
    return key


def check_chosen_key(key: object) -> str:
    """A key that somebody thought of, and that another must not guess. Raises ``Malformed``."""
    chosen = check_thing_key(key)
    if len(set(chosen)) < _LEAST_DIFFERENT:
        raise Malformed(f"a thing's key has at least {_LEAST_DIFFERENT} different characters")
    return chosen


def _encodable(password: str) -> str:
    try:
        password.encode()
    except UnicodeEncodeError as exc:
        raise Malformed("a password is well-formed text") from exc
    return password


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"filestore-gateway/1 " + purpose).derive(secret)
