"""The settings, as the values and adapters that the rooms work with.

Rule: nothing else turns a setting into anything, and concrete classes meet nowhere else. A room
is given what it needs and does not know where that comes from.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from pydantic import SecretStr

from gateway import __version__
from gateway.blobs.disk.space import Watermark
from gateway.blobs.disk.store import open_disk_store
from gateway.blobs.memory import MemoryBlobStore
from gateway.blobs.port import BlobReader, BlobStore
from gateway.blobs.s3.options import Checksum, S3Options
from gateway.blobs.s3.signing import Credential
from gateway.catalogue.postgres_blobs import PostgresBlobLedger
from gateway.catalogue.postgres_damage import PostgresQuarantine, PostgresScrubPlan
from gateway.catalogue.postgres_files import PostgresFiles
from gateway.catalogue.postgres_store import check_store
from gateway.database.pool import Database, open_database
from gateway.database.statements import SqlFolder
from gateway.filestore import Filestore
from gateway.identity import groups
from gateway.identity.decisions import open_hook
from gateway.identity.registry import Registry, RegistryTerms, open_registry
from gateway.identity.rows.attempts import SharedAttempts
from gateway.identity.secrets import RECOMMENDED, PasswordCost, webhook_seal
from gateway.identity.tokens import ISSUER
from gateway.identity.users import RegistrationRules
from gateway.messaging.delivery import DeliveryPolicy
from gateway.messaging.rows.outbox import RetryPolicy
from gateway.messaging.service import Messaging, messaging_on
from gateway.messaging.targets import TargetRules
from gateway.messaging.webhooks import WebhookPolicy
from gateway.model.access import PrincipalKind
from gateway.model.change import ChangeListeners
from gateway.model.errors import StartupFailed
from gateway.model.quota import Resource
from gateway.process.tracing import telling
from gateway.quotas.reservations import open_reservations
from gateway.quotas.service import Quotas
from gateway.settings.core import Configuration, Settings, read_configuration
from gateway.settings.deployed import disk_identity, s3_authorities
from gateway.settings.fastways import FastWay
from gateway.settings.secret import load_secrets
from gateway.traffic.attempts import Attempts
from gateway.traffic.bandwidth import Bandwidth, bandwidth_of
from gateway.traffic.credentials import PrincipalCache
from gateway.traffic.limits import ConcurrencyLimit
from gateway.traffic.resolved import ReadCache
from gateway.traffic.resumes import ResumeGuard
from gateway.traffic.turns import Turns
from gateway.upkeep.quarantine import Suspects, Ward
from gateway.upkeep.scrub import Scrubber
from gateway.upkeep.sweep import GracePeriods
from gateway.web import metrics
from gateway.web.authentication import Callers
from gateway.web.context import Room
from gateway.web.cors import CorsPolicy
from gateway.web.dialect import Dialect
from gateway.web.downloads.beside import Digests
from gateway.web.downloads.context import Downloads
from gateway.web.downloads.underway import DownloadsUnderWay
from gateway.web.operations.operators import EVERYBODY, Operators
from gateway.web.proxies import TrustedPeers
from gateway.web.server.stall import StallWatch
from gateway.web.signing.secure_link import SecureLinks
from gateway.web.uploads.context import Limits, Uploads

_NEWS_SECONDS: Final = 2.0
_LONGEST_UPLOAD_SECONDS: Final = 7 * 86_400.0
_NO_CLIENT: Final = (
    "GATEWAY_STORE=s3 needs the client that comes with the extra: "
    "pip install 'filestore-gateway[s3]'"
)

_NO_OTEL: Final = (
    "GATEWAY_OTEL needs what comes with the extra: pip install 'filestore-gateway[otel]'"
)


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
    kinds = [d.settings for d in dialects if d.settings is not None]
    return Deployment(tuple(dialects), read_configuration(kinds))


@dataclass(frozen=True, slots=True)
class Stores:
    """Bytes and rows, open."""

    blobs: BlobStore
    files: PostgresFiles
    ledger: PostgresBlobLedger
    registry: Registry
    messaging: Messaging
    quotas: Quotas
    quarantine: PostgresQuarantine
    scrubs: PostgresScrubPlan


@asynccontextmanager
async def open_stores(
    deployment: Deployment, dsn: str, *, adopt: bool = True, cost: PasswordCost = RECOMMENDED
) -> AsyncIterator[Stores]:
    """The adapters that the service and the commands share.

    ``adopt`` takes a database for ours that no deployment has used yet; new passwords are hashed
    at that ``cost``.
    """
    settings = deployment.settings
    async with (
        open_blobs(settings) as blobs,
        open_database(
            dsn,
            deployment.sql,
            connections=settings.database_connections,
            wait_seconds=settings.database_wait_seconds,
            places=connection_places(settings.database_connections),
            pooled=settings.database_pooled,
        ) as database,
        open_registry(
            database,
            *(secret.encode() for secret in load_secrets(settings)),
            terms=_registry_terms(deployment, cost),
            adopt=adopt,
        ) as registry,
    ):
        await check_store(database, store_identity(settings), adopt=adopt)
        yield Stores(
            blobs,
            _files_of(settings, database),
            PostgresBlobLedger(database),
            registry,
            _messaging_of(settings, database),
            Quotas(database),
            PostgresQuarantine(database),
            PostgresScrubPlan(database),
        )


def _files_of(settings: Settings, database: Database) -> PostgresFiles:
    return PostgresFiles(
        database,
        garbage_grace_seconds=settings.garbage_grace_seconds,
        together=FastWay.COMMIT_TOGETHER in settings.fast_ways,
    )


def _messaging_of(settings: Settings, database: Database) -> Messaging:
    return messaging_on(
        database,
        webhook_seal(*(secret.encode() for secret in load_secrets(settings))),
        retention_days=settings.message_retention_days,
        dead_letter_days=settings.webhook_dead_letter_days,
        policy=WebhookPolicy(target_rules(settings), settings.hosts_confirm),
    )


def _registry_terms(deployment: Deployment, cost: PasswordCost) -> RegistryTerms:
    settings = deployment.settings
    return RegistryTerms(
        issuer=deployment.token_issuer,
        registration=registration_rules(settings),
        token_seconds=settings.token_seconds,
        longest_key_seconds=settings.max_key_seconds,
        grace_seconds=settings.garbage_grace_seconds,
        audit_days=settings.audit_days,
        cost=cost,
    )


@dataclass(frozen=True, slots=True)
class Services:
    """What handlers work with, a value for each kind of work."""

    callers: Callers
    files: Filestore
    uploads: Uploads
    downloads: Downloads
    messaging: Messaging
    room: Room
    quotas: Quotas
    ward: Ward


@asynccontextmanager
async def open_services(deployment: Deployment, stores: Stores) -> AsyncIterator[Services]:
    """What handlers work with, on the stores."""
    settings = deployment.settings
    entries = settings.read_cache_entries
    reads = ReadCache[BlobReader](seconds=seconds_of(settings, FastWay.READ_CACHE), entries=entries)
    credentials = PrincipalCache(
        seconds=seconds_of(settings, FastWay.CREDENTIAL_CACHE), entries=entries
    )
    listeners = ChangeListeners(reads, credentials)
    await stores.quotas.set_defaults(default_quotas(settings))
    async with (
        open_reservations(stores.messaging.database) as reservations,
        open_hook(
            settings.hook_url,
            timeout_seconds=settings.hook_timeout_seconds,
            cache_seconds=settings.hook_cache_seconds,
            watch=metrics.hook_answered,
        ) as hook,
    ):
        under_way = DownloadsUnderWay()
        ward = _ward_of(stores, ChangeListeners(listeners, under_way))
        suspects = Suspects(ward)
        files = Filestore(
            stores.blobs, stores.files, stores.ledger, hook, listeners, reservations, suspects
        )
        downloads = _downloads_of(files, deployment, reads, under_way)
        attempts = Attempts(SharedAttempts(stores.messaging.database))
        callers = Callers(
            stores.registry, hook, trusted_peers(settings), credentials, listeners, attempts
        )
        uploads = uploads_to(files, settings)
        room = Watermark(settings.data_dir, min_free_bytes=settings.min_free_bytes)
        async with uploads.under_way.cutting(), suspects.examining():
            yield Services(
                callers, files, uploads, downloads, stores.messaging, room, stores.quotas, ward
            )


def _ward_of(stores: Stores, changes: ChangeListeners) -> Ward:
    return Ward(stores.blobs, stores.ledger, stores.quarantine, changes, metrics.quarantined)


def _downloads_of(
    files: Filestore,
    deployment: Deployment,
    reads: ReadCache[BlobReader],
    under_way: DownloadsUnderWay,
) -> Downloads:
    settings = deployment.settings
    return Downloads(
        files=files,
        reads=reads,
        stalls=StallWatch(settings.download_stall_seconds, metrics.stalled.inc),
        watch=ResumeGuard(remembered_downloads(settings)),
        accel=settings.accel,
        edge_seconds=settings.edge_seconds,
        bandwidth=bandwidth_limits(settings),
        ways=settings.fast_ways,
        cors=cors_policy(deployment),
        several_ranges=settings.several_ranges,
        digests=Digests(files) if settings.digest_beside else None,
        says_surrogate_keys=settings.surrogate_keys,
        links=secure_links(settings),
        redirected=frozenset(map(PrincipalKind, settings.s3_redirect)),
        under_way=under_way,
        verify_one_in=settings.verify_one_in,
    )


@asynccontextmanager
async def open_blobs(settings: Settings) -> AsyncIterator[BlobStore]:
    """The store that this deployment keeps its bytes in, until the end of the block."""
    if settings.store == "memory":
        yield MemoryBlobStore(settings.memory_store_bytes)
        return
    if settings.store == "s3":
        opened = _s3_opener()(
            s3_options(settings), threads=settings.io_threads, watch=metrics.store_answered
        )
        async with opened as bucket:
            yield bucket
        return
    async with open_disk_store(
        settings.data_dir,
        threads=settings.io_threads,
        min_free_bytes=settings.min_free_bytes,
        ways=settings.fast_ways,
    ) as store:
        yield store


def direct_dsn(settings: Settings, dsn: str) -> str:
    """Where the server itself is, for the database at that DSN: sessions there are one's own."""
    direct = settings.database_direct_url
    return dsn if direct is None else direct.get_secret_value()


def news_seconds(settings: Settings) -> float:
    """Within how long it is found that changes are not heard any more."""
    return min(_NEWS_SECONDS, settings.read_cache_seconds or _NEWS_SECONDS)


def _s3_opener() -> Callable[..., AbstractAsyncContextManager[BlobStore]]:
    """Opens a store in a bucket, if what that takes is installed. Raises ``StartupFailed``."""
    try:
        from gateway.blobs.s3.store import open_s3_store
    except ImportError as exc:
        raise StartupFailed(_NO_CLIENT) from exc
    return open_s3_store


def s3_options(settings: Settings) -> S3Options:
    """The bucket that is set. Raises ``BadSettings`` if its certificates cannot be read."""
    assert settings.s3_bucket is not None, "it is set with this store"
    credential = None
    if settings.s3_access_key is not None and settings.s3_secret_key is not None:
        credential = Credential(*map(secret_text, (settings.s3_access_key, settings.s3_secret_key)))
        if settings.s3_session_token is not None:
            credential = replace(credential, token=secret_text(settings.s3_session_token))
    return S3Options(
        bucket=settings.s3_bucket,
        region=settings.s3_region,
        endpoint=settings.s3_endpoint,
        prefix=settings.s3_prefix,
        virtual_host=settings.s3_virtual_host,
        credential=credential,
        authorities=s3_authorities(settings),
        checksum=Checksum(settings.s3_checksum),
        signed_payload=settings.s3_signed_payload,
        read_back=None if settings.s3_read_back == "auto" else settings.s3_read_back == "true",
        silence_seconds=settings.s3_timeout_seconds,
        retry_seconds=settings.s3_retry_seconds,
        longest_upload_seconds=settings.upload_seconds or _LONGEST_UPLOAD_SECONDS,
        most_bytes=settings.max_file_bytes,
        signed_seconds=settings.s3_signed_seconds,
        redirect_endpoint=settings.s3_redirect_endpoint,
        redirect_seconds=settings.s3_redirect_seconds,
    )


@asynccontextmanager
async def told_of_traces(settings: Settings) -> AsyncIterator[None]:
    """Tell of traces within the block, if it is to be. Raises ``StartupFailed`` if it cannot be."""
    if not settings.otel:
        yield
        return
    try:
        from gateway.process.otel import open_tracer
    except ImportError as exc:
        raise StartupFailed(_NO_OTEL) from exc
    async with open_tracer(__version__) as tracer:
        with telling(tracer):
            yield


def secret_text(secret: SecretStr) -> str:
    """What it is, for who needs it in plain."""
    return secret.get_secret_value()


def store_identity(settings: Settings) -> str | None:
    """Which store this is; ``None`` if nobody else sees it. Raises ``BadSettings``."""
    if settings.store == "memory":
        return None
    if settings.store == "s3":
        return s3_options(settings).identity
    return disk_identity(settings)


def connection_places(connections: int) -> Turns:
    """Whose turn it is to use a database connection; a fifth is kept for reads of files."""
    return Turns(connections, kept=connections // 5)


def registration_rules(settings: Settings) -> RegistrationRules:
    """Who may make an account here."""
    return RegistrationRules(
        is_open=settings.registration_is_open,
        trial=settings.registration_is_open and settings.open_registration == "auto",
        domains=frozenset(settings.registration_domains),
    )


def delivery_policy(settings: Settings) -> DeliveryPolicy:
    """How this deployment delivers."""
    return DeliveryPolicy(
        timeout_seconds=settings.webhook_timeout_seconds,
        concurrency=settings.webhook_concurrency,
        rules=target_rules(settings),
        nameservers=settings.webhook_nameservers,
        bytes_per_hour=settings.webhook_bytes_per_hour,
        retries=RetryPolicy(
            attempts=settings.webhook_attempts,
            give_up_seconds=settings.webhook_give_up_seconds,
            first_pause_seconds=settings.webhook_retry_seconds,
            longest_pause_seconds=settings.webhook_longest_retry_seconds,
        ),
    )


def target_rules(settings: Settings) -> TargetRules:
    """Whom webhooks may name."""
    return TargetRules(settings.webhook_private_targets, settings.webhook_hosts)


def grace_periods(settings: Settings) -> GracePeriods:
    """How long leftovers are left alone."""
    return GracePeriods(settings.incoming_grace_seconds, settings.orphan_grace_seconds)


def scrubber_on(ward: Ward, stores: Stores, settings: Settings) -> Scrubber:
    """Who hashes every blob again, at the service's pace."""
    rate = settings.scrub_bytes_per_second
    return Scrubber(ward, stores.scrubs, rate, lambda blob: metrics.scrubbed(blob.size))


def uploads_to(files: Filestore, settings: Settings) -> Uploads:
    """What uploads work with, and what bounds them."""
    return Uploads(
        files,
        Limits(
            file_bytes=settings.max_file_bytes,
            stall_seconds=settings.stall_seconds,
            min_upload_bytes_per_second=settings.min_upload_bytes_per_second,
            body_seconds=settings.upload_seconds,
        ),
        ConcurrencyLimit(settings.max_concurrent_uploads),
        store_md5=settings.md5,
    )


def secure_links(settings: Settings) -> SecureLinks | None:
    """Links that a CDN checks by itself, if there is one."""
    if settings.link_url is None or settings.link_secret is None:
        return None
    return SecureLinks(str(settings.link_url).rstrip("/"), settings.link_secret.get_secret_value())


def cors_policy(deployment: Deployment) -> CorsPolicy:
    """What pages of other origins may do."""
    headers = (name for dialect in deployment.dialects for name in dialect.request_headers)
    return CorsPolicy(deployment.settings.cors_origins, headers)


def default_quotas(settings: Settings) -> dict[str, dict[Resource, int]]:
    """What everybody may have of whom nothing else was set, by class."""
    written = {
        "users": settings.quota_users,
        "newcomers": settings.quota_newcomers,
        "things": settings.quota_things,
        "groups": settings.quota_groups,
        "orgs": settings.quota_orgs,
    }
    return {
        name: {Resource(most.resource): most.amount for most in quotas if most.amount is not None}
        for name, quotas in written.items()
    }


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

    None beside other workers: who starts again at one of them must not be refused by another.
    """
    return settings.unfinished_entries if settings.workers == 1 else 0


def operators_of(settings: Settings) -> Operators:
    """Who may see how the gateway is."""
    token = settings.operations_token
    return EVERYBODY if token is None else Operators(token.get_secret_value())


def trusted_peers(settings: Settings) -> TrustedPeers:
    """The proxies that may speak for their clients."""
    secrets = (settings.trusted_proxy_secret, settings.trusted_proxy_secret_previous)
    return TrustedPeers(
        (str(peer) for peer in settings.trusted_proxies),
        *(secret.get_secret_value() for secret in secrets if secret is not None),
    )
