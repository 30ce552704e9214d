"""What a setting can be: its type, and what is checked of it.

Rule: a complaint says what is wanted and repeats nothing, because a value may be a secret.
"""

from __future__ import annotations

import re
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

SHORTEST_SECRET: Final = 32
SLOWEST_RATE: Final = 1024
LONGEST_SOCKET_PATH: Final = 107
"""What an address of AF_UNIX has room for (unix(7))."""
LEAST_WEBHOOK_BYTES: Final = 16 * 1024**2
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_SIZE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) *([KMGTkmgt])(i?)B")
_LETTERS: Final = "KMGT"
_OPENNESS: Final = {
    "auto": {"auto"},
    "true": {"true", "1", "yes", "on", "t", "y"},
    "false": {"false", "0", "no", "off", "f", "n"},
}
_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*")
_NAMESERVER: Final = re.compile(r"(?:([0-9.]+)|\[([0-9a-f:.]+)\])(?::([0-9]{1,5}))?")
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_KEY_PREFIX: Final = re.compile(r"(?:[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*)?")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


def _split(value: object) -> object:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _off(value: object) -> object:
    return None if value == "off" else value


def _openness(value: object) -> object:
    word = str(value).lower()
    return next((name for name, words in _OPENNESS.items() if word in words), value)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach who listens there. A name is no proof, but localhost."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_foreign_http(url: str) -> bool:
    """Whether what is sent there goes over a network as plain text."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


Network = IPv4Network | IPv6Network


def _peer(value: object) -> object:
    try:
        return value if value == "unix" else ip_network(str(value))
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8, or unix") from None


def _check_prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value):
        raise ValueError("must be empty or look like /filestore, without a slash at the end")
    return value


def _origin(value: str) -> str:
    if value not in {"*", "off"} and not _ORIGIN.fullmatch(value.lower()):
        raise ValueError("must be an origin such as https://console.example.com, without a path")
    return value.lower()


def _check_origins(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) > 1 and {"*", "off"}.intersection(values):
        raise ValueError("* and off stand alone")
    return values


def _host(value: str) -> str:
    if not _HOST.fullmatch(value.lower()):
        raise ValueError("must be a host such as erp.example.com, or *.example.com")
    return value.lower()


def _nameserver(value: str) -> str:
    found = _NAMESERVER.fullmatch(value.lower())
    try:
        ip_address((found and (found[1] or found[2])) or "")
    except ValueError:
        raise ValueError(
            "must be an address such as 10.0.0.53, 10.0.0.53:5353 or [fd00::53]"
        ) from None
    return value.lower()


def _check_location(value: str) -> str:
    if not value.strip("/") or not _PREFIX.fullmatch(value.rstrip("/")):
        raise ValueError("must be off or an internal location such as /_blobs")
    return value.rstrip("/")


def _check_http_url(value: str) -> str:
    if urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).hostname:
        raise ValueError("must be an http:// or https:// URL")
    return value


def _check_database_url(value: SecretStr) -> SecretStr:
    if urlsplit(value.get_secret_value()).scheme not in {"postgres", "postgresql"}:
        raise ValueError("must be a postgresql:// URL")
    return value


def _check_socket_path(value: Path) -> Path:
    if not value.is_absolute() or len(str(value).encode()) > LONGEST_SOCKET_PATH:
        raise ValueError(f"must be an absolute path of at most {LONGEST_SOCKET_PATH} bytes")
    return value


def _check_bucket(value: str) -> str:
    if not _BUCKET.fullmatch(value):
        raise ValueError("must be a bucket's name such as firmware-eu")
    return value


def _check_key_prefix(value: str) -> str:
    if not _KEY_PREFIX.fullmatch(value.strip("/")):
        raise ValueError("must be empty or look like gateway-1 or devices/gateway-1")
    return value.strip("/")


def _check_email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("must be an e-mail address")
    return value


def _check_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < SHORTEST_SECRET:
        raise ValueError(f"must have at least {SHORTEST_SECRET} characters")
    return value


def _check_password(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 8:
        raise ValueError("must have at least 8 characters")
    return value


def _check_rate(value: int) -> int:
    if 0 < value < SLOWEST_RATE:
        raise ValueError(f"must be 0 or at least {SLOWEST_RATE}")
    return value


def _check_webhook_bytes(value: int) -> int:
    if 0 < value < LEAST_WEBHOOK_BYTES:
        raise ValueError("must be 0 or at least 16MiB, which one delivery may have")
    return value


def read_size(value: object) -> object:
    """Bytes, or with a unit: ``2GB`` is 2,000,000,000 and ``2GiB`` is 2,147,483,648."""
    if not isinstance(value, str) or value.strip().isdigit():
        return value
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise ValueError("must be a number of bytes, or one with a unit such as 2GB or 512MiB")
    number, letter, binary = found.groups()
    factor = (1024 if binary else 1000) ** (1 + _LETTERS.index(letter.upper()))
    return int(Decimal(number) * factor)


def written_size(size: int) -> str:
    """The same size in the largest unit that it is a whole number of."""
    for power in range(len(_LETTERS), 0, -1):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{_LETTERS[power - 1]}iB"
    return str(size)


def _domain(value: str) -> str:
    domain = value.removeprefix("@").casefold()
    if not domain or "@" in domain or any(c.isspace() for c in domain):
        raise ValueError("must be a domain such as example.com")
    return domain


def _extension(value: str) -> str:
    return value.removeprefix(".").lower()


Bytes = Annotated[int, BeforeValidator(read_size), Field(ge=0)]
BytesAtLeastOne = Annotated[int, BeforeValidator(read_size), Field(ge=1)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
Rate = Annotated[int, BeforeValidator(read_size), Field(ge=0), AfterValidator(_check_rate)]
WebhookBytes = Annotated[
    int, BeforeValidator(read_size), Field(ge=0), AfterValidator(_check_webhook_bytes)
]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Peer = Annotated[IPv4Network | IPv6Network | Literal["unix"], BeforeValidator(_peer)]
Peers = Annotated[tuple[Peer, ...], NoDecode, BeforeValidator(_split)]
Domains = Annotated[
    tuple[Annotated[str, AfterValidator(_domain)], ...], NoDecode, BeforeValidator(_split)
]
Extensions = Annotated[
    tuple[Annotated[str, AfterValidator(_extension)], ...], NoDecode, BeforeValidator(_split)
]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...],
    NoDecode,
    BeforeValidator(_split),
    AfterValidator(_check_origins),
]
Callers = Annotated[
    tuple[Literal["user", "thing", "application"], ...], NoDecode, BeforeValidator(_split)
]
Hosts = Annotated[
    tuple[Annotated[str, AfterValidator(_host)], ...], NoDecode, BeforeValidator(_split)
]
Nameservers = Annotated[
    tuple[Annotated[str, AfterValidator(_nameserver)], ...], NoDecode, BeforeValidator(_split)
]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_database_url)]
Prefix = Annotated[str, AfterValidator(_check_prefix)]
Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
SocketPath = Annotated[Path, AfterValidator(_check_socket_path)]
Password = Annotated[SecretStr, AfterValidator(_check_password)]
Email = Annotated[str, AfterValidator(_check_email)]
Bucket = Annotated[str, AfterValidator(_check_bucket)]
KeyPrefix = Annotated[str, AfterValidator(_check_key_prefix)]
HttpUrl = Annotated[str, AfterValidator(_check_http_url)]
Location = Annotated[Annotated[str, AfterValidator(_check_location)] | None, BeforeValidator(_off)]
Openness = Annotated[Literal["auto", "true", "false"], BeforeValidator(_openness)]
