"""The deployment's secret under a passphrase: scrypt (RFC 7914) and AES-256-GCM."""

from __future__ import annotations

import base64
import os
from typing import Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gateway.model.errors import StartupFailed

_COST: Final = 2**16
_MOST_COST: Final = 2**20
_PURPOSE: Final = b"filestore-gateway secret"


class SealBroken(StartupFailed):
    """The passphrase is another, or what was sealed is damaged."""


def seal(secret: str, passphrase: str) -> bytes:
    """``secret``, for whoever knows ``passphrase``."""
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = AESGCM(_key(passphrase, salt, _COST)).encrypt(nonce, secret.encode(), _PURPOSE)
    parts = {"salt": salt, "nonce": nonce, "sealed": sealed}
    text = {name: base64.b64encode(part).decode() for name, part in parts.items()}
    return orjson.dumps({"kdf": "scrypt", "n": _COST, "r": 8, "p": 1, **text})


def unseal(content: bytes, passphrase: str) -> str:
    """What was sealed. Raises ``SealBroken``."""
    try:
        known = orjson.loads(content)
        cost = int(known["n"])
        salt, nonce, sealed = (base64.b64decode(known[n]) for n in ("salt", "nonce", "sealed"))
        if not 2 <= cost <= _MOST_COST:
            raise ValueError("a cost that nobody wrote")
        key = _key(passphrase, salt, cost)
        return AESGCM(key).decrypt(nonce, sealed, _PURPOSE).decode()
    except (ValueError, KeyError, TypeError, InvalidTag) as exc:
        raise SealBroken("the passphrase is another, or the sealed secret is damaged") from exc


def _key(passphrase: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(passphrase.encode())
