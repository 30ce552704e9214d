"""The settings, as the values and adapters that the rooms work with.

Rule: nothing else turns a setting into anything. A room is given what it needs and does not
know where that comes from.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.blobs.disk.store import open_disk_store
from gateway.blobs.memory import MemoryBlobStore
from gateway.blobs.port import BlobStore
from gateway.database.statements import SqlFolder
from gateway.filestore import Filestore
from gateway.identity import groups
from gateway.identity.tokens import ISSUER
from gateway.messaging.delivery import DeliveryPolicy
from gateway.messaging.rows.outbox import RetryPolicy
from gateway.settings.core import Configuration, Settings, read_configuration
from gateway.settings.fastways import FastWay
from gateway.traffic.bandwidth import Bandwidth, bandwidth_of
from gateway.traffic.limits import ConcurrencyLimit
from gateway.upkeep.sweep import GracePeriods
from gateway.web.dialect import Dialect
from gateway.web.proxies import TrustedPeers
from gateway.web.uploads.context import Limits, Uploads


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is deployed: some dialects, and how they and the service are configured."""

    dialects: tuple[Dialect, ...]
    configuration: Configuration

    @property
    def settings(self) -> Settings:
        """The service's own settings."""
        return self.configuration.settings

    @property
    def token_issuer(self) -> str:
        """What the registry's tokens name as their issuer."""
        return next((d.token_issuer for d in self.dialects if d.token_issuer), ISSUER)

    @property
    def sql(self) -> tuple[SqlFolder, ...]:
        """What the dialects bring for the database to know and to have."""
        return tuple(d.sql for d in self.dialects if d.sql is not None)


def read_deployment(dialects: Sequence[Dialect]) -> Deployment:
    """These dialects as the environment configures them. Raises ``BadSettings``."""
    groups = [d.settings for d in dialects if d.settings is not None]
    return Deployment(tuple(dialects), read_configuration(groups))


@asynccontextmanager
async def open_blobs(settings: Settings) -> AsyncIterator[BlobStore]:
    """The store that this deployment keeps its bytes in, until the end of the block."""
    if settings.store == "memory":
        yield MemoryBlobStore(settings.memory_store_bytes)
        return
    async with open_disk_store(
        settings.data_dir,
        threads=settings.io_threads,
        min_free_bytes=settings.min_free_bytes,
        ways=settings.fast_ways,
    ) as store:
        yield store


def delivery_policy(settings: Settings) -> DeliveryPolicy:
    """How this deployment delivers."""
    return DeliveryPolicy(
        timeout_seconds=settings.webhook_timeout_seconds,
        concurrency=settings.webhook_concurrency,
        private_targets=settings.webhook_private_targets,
        retries=RetryPolicy(
            attempts=settings.webhook_attempts,
            give_up_seconds=settings.webhook_give_up_seconds,
            first_pause_seconds=settings.webhook_retry_seconds,
            longest_pause_seconds=settings.webhook_longest_retry_seconds,
        ),
    )


def grace_periods(settings: Settings) -> GracePeriods:
    """How long leftovers are left alone."""
    return GracePeriods(settings.incoming_grace_seconds, settings.orphan_grace_seconds)


def uploads_to(files: Filestore, settings: Settings) -> Uploads:
    """What uploads work with, and what bounds them."""
    return Uploads(
        files,
        Limits(
            file_bytes=settings.max_file_bytes,
            stall_seconds=settings.stall_seconds,
            min_upload_bytes_per_second=settings.min_upload_bytes_per_second,
        ),
        ConcurrencyLimit(settings.max_concurrent_uploads),
        store_md5=settings.md5,
    )


def bandwidth_limits(settings: Settings) -> Bandwidth | None:
    """How fast files go out; ``None``: as fast as they can."""
    return bandwidth_of(
        device_rate=settings.device_bytes_per_second,
        group_rate=settings.group_bytes_per_second,
        group_kind=groups.SCOPE_KIND,
    )


def seconds_of(settings: Settings, cache: FastWay) -> float:
    """For how long this cache keeps what it learnt; 0 keeps nothing."""
    return settings.read_cache_seconds if cache in settings.fast_ways else 0.0


def remembered_downloads(settings: Settings) -> int:
    """How many unfinished downloads to remember.

    None beside other workers: who begins anew at one of them must not be refused by another.
    """
    return settings.unfinished_entries if settings.workers == 1 else 0


def trusted_peers(settings: Settings) -> TrustedPeers:
    """The proxies that may speak for their clients."""
    secret = settings.trusted_proxy_secret
    return TrustedPeers(
        (str(peer) for peer in settings.trusted_proxies),
        secret.get_secret_value() if secret is not None else None,
    )
