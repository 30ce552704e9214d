"""What a store does and what it ignores, found out when it is opened.

Stores say that they speak S3 and differ in what they leave out. What we cannot do without (a
range, a size) ends the start; what we can make up for is said, and made up for.

Rule: what is tried is gone again, and each failure is one line that names the setting to look at.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from gateway.blobs.s3.bucket import KeyTaken, S3Bucket
from gateway.blobs.s3.keys import probe_of
from gateway.blobs.s3.options import Checksum, S3Options
from gateway.blobs.s3.unfinished import PlainRequests
from gateway.model.errors import BlobMissing, GatewayError, StartupFailed, StorageUnavailable

_log: Final = logging.getLogger(__name__)
_CONTENT: Final = b"The quick brown fox jumps over the lazy dog."
_WRONG: Final = {
    Checksum.CRC64NVME: "AAAAAAAAAAA=",
    Checksum.SHA256: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
}
_ACCEPTED: Final = 200


@dataclass(frozen=True, slots=True)
class Traits:
    """What was found.

    Whether it compares checksums (``None``: not known), and refuses a second object under one key
    when it is asked to.
    """

    compares: bool | None
    creates_once: bool


async def find_out(bucket: S3Bucket) -> Traits:
    """Try the bucket. Raises ``StartupFailed``."""
    key = probe_of(bucket.options.within, uuid4().hex)
    try:
        await bucket.put(key, [_CONTENT])
    except GatewayError as exc:
        raise StartupFailed(why_not(bucket.options, exc)) from exc
    try:
        await _check_reads(bucket, key)
        traits = Traits(
            await _compares(bucket.options, f"{key}-wrong"), await _is_once(bucket, key)
        )
    finally:
        for tried in (key, f"{key}-wrong"):
            with contextlib.suppress(GatewayError):
                await bucket.delete(tried)
    _tell(bucket.options, traits)
    return traits


async def _check_reads(bucket: S3Bucket, key: str) -> None:
    """Raise ``StartupFailed`` unless it gives ranges and sizes."""
    place = f"the store at {bucket.options.base}"
    try:
        size = (await bucket.head(key)).size
        part = await bucket.get(key, 4, 9, None)
    except (BlobMissing, StorageUnavailable) as exc:
        raise StartupFailed(f"{place} took an object and does not give a range of it") from exc
    if (size, part) != (len(_CONTENT), _CONTENT[4:9]):
        raise StartupFailed(f"{place} does not give what was put there")


async def _is_once(bucket: S3Bucket, key: str) -> bool:
    try:
        await bucket.put(key, [_CONTENT], create=True)
    except KeyTaken:
        return True
    except GatewayError:
        return False
    return False


async def _compares(options: S3Options, key: str) -> bool | None:
    """Whether an object with another checksum than its own is refused."""
    if options.credential is None:
        return None
    plain = PlainRequests(options, options.credential)
    header = {f"x-amz-checksum-{options.checksum}": _WRONG[options.checksum]}
    try:
        status, _ = await plain.ask("PUT", key, {}, header, _CONTENT)
    except StorageUnavailable:
        return None
    return status != _ACCEPTED


def _tell(options: S3Options, traits: Traits) -> None:
    """Say what the store leaves out, and what that leads to."""
    found = {"store": options.base, "checksum": options.checksum.upper()}
    if traits.compares is False and options.read_back is not False:
        _log.warning("the store ignores checksums: each upload is read back", extra=found)
    elif traits.compares is False:
        _log.warning("the store ignores checksums, and nothing is read back", extra=found)
    elif traits.compares is None:
        _log.info("whether the store compares checksums is not known", extra=found)
    if not traits.creates_once:
        _log.info("the store overwrites what was to be created; nothing here relies on it")


_SIGNS: Final = (
    (("invalid peer certificate", "UnknownIssuer", "CertificateError"), "certificate"),
    (("169.254.169.254", "no credentials", "CredentialsNotLoaded"), "none"),
    (("NoSuchBucket", "404 Not Found"), "bucket"),
    (("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "403", "401"), "refused"),
)


def why_not(options: S3Options, failure: GatewayError) -> str:
    """Why nothing can be put there, in a line for who has to mend it."""
    text, place = str(failure.__cause__ or failure), options.base
    kind = next((kind for signs, kind in _SIGNS if any(sign in text for sign in signs)), "away")
    return {
        "certificate": f"the certificate of {place} is not trusted: set GATEWAY_S3_CA_FILE",
        "none": "no credentials for the store were found: set GATEWAY_S3_ACCESS_KEY and its secret",
        "bucket": f"there is no bucket {options.bucket} at {place}: make it, or correct the name",
        "refused": f"{place} refuses to store in {options.bucket}: look at GATEWAY_S3_ACCESS_KEY, "
        "its secret, GATEWAY_S3_REGION, and what the key may do there",
        "away": f"the store at {place} does not answer: look at GATEWAY_S3_ENDPOINT",
    }[kind]
