"""Settings: what the environment and files say, read once, as frozen values.

Knows the service's own settings; a dialect brings its group of them. Knows no asyncpg, no
aiohttp, and starts nothing.

Rule: a bad configuration is refused as a whole, every problem named at once, and no
complaint repeats a value, because a value may be a secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError

from gateway.settings.fastways import ALL_WAYS, FastWays, written_ways
from gateway.settings.quotas import (
    NEWCOMERS,
    GroupQuotas,
    OrgQuotas,
    ThingQuotas,
    UserQuotas,
)
from gateway.settings.sources import (
    SettingsGroup,
    source_problems,
    unknown_variables,
    variable_of,
)
from gateway.settings.types import (
    Bucket,
    Bytes,
    BytesAtLeastOne,
    Callers,
    Count,
    CountOrZero,
    DatabaseUrl,
    Domains,
    Email,
    Hosts,
    HttpUrl,
    KeyPrefix,
    Location,
    Nameservers,
    Network,
    Openness,
    Origins,
    Password,
    Peers,
    Prefix,
    Rate,
    Seconds,
    SecondsOrZero,
    Secret,
    SocketPath,
    WebhookBytes,
    is_loopback,
    written_size,
)

_SWEPT_AFTER: Final = 10
_DISK_LOCATION: Final = "/_blobs"
_LIKENESS: Final = 0.8
Group = TypeVar("Group", bound=SettingsGroup)


class BadSettings(Exception):
    """The configuration cannot be used; ``problems`` has every reason."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(SettingsGroup):
    """The service's own settings."""

    host: str = Field("127.0.0.1", description="Address to listen on, or `unix:/path/of/socket`.")
    port: int = Field(8080, ge=0, le=65535, description="Port; 0 takes a free one.")
    tls_certificate: Path | None = Field(
        None,
        description="PEM file of the certificate (and of those between it and its authority) with "
        "which the gateway serves TLS itself; unset: it does not. A renewed one needs no restart.",
    )
    tls_key: Path | None = Field(
        None, description="PEM file of its key, without a passphrase; both or none."
    )
    data_dir: Path = Field(
        Path("var"), description="Blobs, uploads under way, the secret and the embedded database."
    )
    store: Literal["disk", "memory", "s3"] = Field(
        "disk",
        description="Where blobs are kept: `disk`, under `DATA_DIR`; `s3`, in a bucket of a store "
        "that speaks S3; or `memory`, which ends with the process and is for tests and trials.",
    )
    memory_store_bytes: BytesAtLeastOne = Field(
        256 * 1024**2, description="Most that all blobs in memory take together."
    )
    s3_endpoint: HttpUrl | None = Field(
        None, description="Address of the S3 store; unset: Amazon's in the region."
    )
    s3_region: str = Field("us-east-1", description="Its region; most own stores take any.")
    s3_bucket: Bucket | None = Field(None, description="The bucket, which has to be there.")
    s3_prefix: KeyPrefix = Field(
        "", description="What all keys begin with, such as `gateway-1`; empty: the bucket is ours."
    )
    s3_access_key: SecretStr | None = Field(
        None,
        description="Key id; unset: as Amazon's tools find one (`AWS_*` variables, web identity, "
        "the machine's role), and unfinished uploads are left to the bucket's lifecycle.",
    )
    s3_secret_key: SecretStr | None = Field(None, description="Its secret.")
    s3_session_token: SecretStr | None = Field(
        None, description="The token of a key that is lent for a while."
    )
    s3_ca_file: Path | None = Field(
        None, description="Certificates (PEM) to trust beside the system's for the store."
    )
    s3_virtual_host: bool = Field(
        False, description="The bucket is part of the host's name and not of the path."
    )
    s3_checksum: Literal["crc64nvme", "sha256"] = Field(
        "crc64nvme",
        description="What the store is sent to compare each part with; `sha256` for a store that "
        "ignores the other, at ten times its cost.",
    )
    s3_signed_payload: bool = Field(
        False,
        description="Requests are signed with the SHA-256 of their bytes, which a store compares "
        "that knows no checksums (Ceph before 17); costs as much as `sha256`.",
    )
    s3_read_back: Openness = Field(
        "auto",
        description="Each upload is read back and compared before it counts. `auto`: only where "
        "the store was found to compare nothing.",
    )
    s3_timeout_seconds: Seconds = Field(
        30.0, description="How long the store may send nothing before a request has failed."
    )
    s3_retry_seconds: SecondsOrZero = Field(
        10.0, description="How long a request that failed is tried again before a 503."
    )
    s3_signed_seconds: float = Field(
        86_400.0,
        ge=1,
        le=7 * 86_400,
        description="How long a signature holds that nginx fetches with, at its client's pace; no "
        "longer than the key, if that is lent.",
    )
    s3_redirect: Callers = Field(
        (),
        description="Callers who are sent to the store for the bytes, with a signed address: a "
        "comma list of `user`, `thing` and `application`; empty: nobody. Few devices can follow.",
    )
    s3_redirect_endpoint: HttpUrl | None = Field(
        None, description="Where they find the store; unset: at `S3_ENDPOINT`."
    )
    s3_redirect_seconds: int = Field(
        60,
        ge=1,
        le=7 * 86_400,
        description="Within how many seconds they have to begin there. Until then the address "
        "reads, whatever is revoked meanwhile.",
    )
    database_url: DatabaseUrl | None = Field(
        None, description="`postgresql://` URL; unset: an embedded PostgreSQL under `DATA_DIR`."
    )
    database_direct_url: DatabaseUrl | None = Field(
        None,
        description="The same database without the pooler that `DATABASE_URL` leads through, for "
        "news of changes, migrations and backups; unset: `DATABASE_URL`.",
    )
    database_pooled: bool = Field(
        False,
        description="`DATABASE_URL` leads through a pooler that may give each transaction another "
        "connection, such as pgbouncer in transaction mode: no statement is prepared.",
    )
    database_connections: Count = Field(10, description="Most connections, per worker.")
    database_wait_seconds: Seconds = Field(
        5.0, description="Longest wait for a connection before a 503."
    )
    migrate_at_start: bool = Field(
        True,
        description="`serve` brings the schema up to date; else it waits until "
        "`filestore-gateway migrate` has.",
    )
    database_start_seconds: SecondsOrZero = Field(
        60.0,
        description="How long `serve` waits for its database when it starts, with a line per try; "
        "then it ends with status 1. 0: one try.",
    )
    prefix: Prefix = Field(
        "/filestore", description="Every route answers under this prefix and at the root."
    )
    secret: Secret | None = Field(
        None,
        description="Signs tokens and guards keys, 32 characters or more; "
        "unset: generated once into `DATA_DIR/secret`.",
    )
    secret_previous: Secret | None = Field(
        None,
        description="The one before, while something may still be signed or sealed with it: it is "
        "believed, and nothing is made with it; unset: `DATA_DIR/secret.previous`, if it is there.",
    )
    admin_email: Email | None = Field(
        None, description="The first administrator, made at first start; unset: generated."
    )
    admin_password: Password | None = Field(
        None,
        description="Its password, 8 characters or more; unset: generated, and shown once "
        "on a terminal, else kept in `DATA_DIR/first-password`.",
    )
    hook_url: HttpUrl | None = Field(
        None, description="Authorisation hook; unset: the dialects' own rules decide alone."
    )
    hook_timeout_seconds: Seconds = Field(5.0, description="Whole time the hook has to answer.")
    hook_cache_seconds: SecondsOrZero = Field(
        2.0, description="How long a read decision is reused; the hook's Cache-Control wins."
    )
    read_cache_seconds: SecondsOrZero = Field(
        2.0, description="Longest time a change of a file or a right may go unseen by readers."
    )
    read_cache_entries: Count = Field(
        1024, description="Reads kept ready, per worker; each holds a descriptor."
    )
    unfinished_entries: CountOrZero = Field(
        10_000,
        description="Unfinished downloads remembered, so that none is resumed with the bytes of "
        "another version; 0, and with several workers: none.",
    )
    max_file_bytes: BytesAtLeastOne = Field(16 * 1024**3, description="Largest file accepted.")
    max_concurrent_requests: Count = Field(
        20_000,
        description="Requests under way at once, per worker; more get 429. A quarter is kept for "
        "callers and addresses that have less than an eighth.",
    )
    max_connections_per_address: CountOrZero = Field(
        0,
        description="Connections of one address (IPv6: /64) at once, per worker; more are closed. "
        "Trusted proxies have no such limit. 0: three quarters of what there are descriptors for.",
    )
    max_concurrent_uploads: Count = Field(
        256,
        description="Uploads under way at once, per worker; more get 429. A quarter is kept for "
        "callers who have less than an eighth.",
    )
    min_free_bytes: Bytes = Field(
        512 * 1024**2,
        description="Room that is left on the disk for the database; what would take of it, an "
        "upload or a new row, gets 507.",
    )
    md5: bool = Field(False, description="Also compute and store MD5, for old clients.")
    digest_beside: bool = Field(
        True,
        description="Beside a file, at its address with `.sha256` or `.md5`, its digest is read, "
        "where no file has that name.",
    )
    surrogate_keys: bool = Field(
        False,
        description="Files say by which keys a CDN may forget them: `Surrogate-Key: sha256-<hex> "
        "scope-<kind>-<owner>`.",
    )
    link_url: HttpUrl | None = Field(
        None,
        description="Where a CDN is that checks expiring links by itself (nginx's `secure_link`), "
        "such as `https://cdn.example.com`; unset: no such links are made.",
    )
    link_secret: Secret | None = Field(
        None, description="What those links are signed with, which the CDN knows, too."
    )
    accel: Location = Field(
        None,
        description="Internal nginx location such as `/_blobs` for X-Accel-Redirect; `off`: none.",
    )
    edge_seconds: SecondsOrZero = Field(
        2.0,
        description="Longest time nginx in edge mode may act on a decision, counted from when the "
        "gateway looked; 0: it asks for every request.",
    )
    nginx_log_socket: SocketPath | None = Field(
        None,
        description="Unix socket to which nginx tells what it sent by itself, for `/metrics`: "
        "`/run/filestore-gateway/nginx.sock`; unset: none.",
    )
    trusted_proxies: Peers = Field(
        (),
        description="Comma list of networks and `unix`; only these may send X-Forwarded-* "
        "and say who their caller is.",
    )
    trusted_proxy_secret: SecretStr | None = Field(
        None, description="A peer that sends it in `X-Filestore-Proxy-Secret` is trusted too."
    )
    several_ranges: bool = Field(
        False,
        description="Several ranges in one request, as delta updates ask (SWUpdate, zchunk, "
        "zsync), get `multipart/byteranges`; else 400, as where a published API takes one only.",
    )
    trusted_proxy_secret_previous: SecretStr | None = Field(
        None, description="The one before, while some proxy still sends it."
    )
    cors_origins: Origins = Field(
        ("*",),
        description="Origins whose pages may use the gateway from a browser: `*` (all, without "
        "cookies), `off`, or a comma list such as `https://console.example.com`.",
    )
    workers: int = Field(1, ge=1, le=256, description="Processes that share the port.")
    io_threads: int = Field(4, ge=1, le=256, description="Disk and hash threads, per worker.")
    open_registration: Openness = Field(
        "auto",
        description="Anybody may create a user; else only who is allowed to. `auto`: anybody, but "
        "only while the gateway listens on loopback and trusts no proxy.",
    )
    registration_domains: Domains = Field(
        (),
        description="Where anybody may create a user, only with an e-mail of one of these domains, "
        "a comma list such as `example.com`; unset: of any.",
    )
    quota_newcomers: UserQuotas = Field(
        NEWCOMERS,
        description="Most that somebody has who registered without being asked to, until an "
        "administrator says otherwise; empty: no limits.",
    )
    quota_users: UserQuotas = Field(
        (),
        description="Most that any other user has who is no administrator, such as "
        "`bytes=100GiB,things=5000`; empty: no limits.",
    )
    quota_things: ThingQuotas = Field((), description="Most that any one thing has.")
    quota_groups: GroupQuotas = Field((), description="Most that any one group has.")
    quota_orgs: OrgQuotas = Field((), description="Most that any one org has.")
    allow_root: Openness = Field(
        "auto",
        description="`serve` may run as root. `auto`: only while the gateway listens on loopback "
        "and trusts no proxy, and it says so.",
    )
    operations_token: SecretStr | None = Field(
        None,
        description="`/metrics`, `/docs` and `/openapi.json` are for who sends it as Bearer token, "
        "and the reasons in `/ready`; unset: for everybody.",
    )
    token_seconds: Seconds = Field(36_000.0, description="Lifetime of a user's token.")
    max_key_seconds: SecondsOrZero = Field(
        0.0,
        description="Longest lifetime of a new API key; 0: as long as is asked for, or for ever.",
    )
    otel: bool = Field(
        False,
        description="Requests are told as traces to an OpenTelemetry collector (extra `[otel]`); "
        "where it is, and how many, say `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER` ...",
    )
    audit_days: CountOrZero = Field(
        365, description="How long it is known who did what; 0: for ever."
    )
    stall_seconds: Seconds = Field(
        60.0, description="An upload that moves no byte for so long is cut."
    )
    download_stall_seconds: Seconds = Field(
        300.0, description="A download whose client takes no byte for so long is cut."
    )
    min_upload_bytes_per_second: Bytes = Field(
        100, description="An upload slower than this on average is cut; 0: no floor."
    )
    upload_seconds: SecondsOrZero = Field(
        86_400.0, description="A body that has not ended after this is cut; 0: no such limit."
    )
    device_bytes_per_second: Rate = Field(
        0, description="Most that one thing's downloads get together, per worker; 0: no limit."
    )
    group_bytes_per_second: Rate = Field(
        0,
        description="Most that all downloads of one group's files get together, per worker; "
        "0: no limit.",
    )
    keepalive_seconds: Seconds = Field(30.0, description="An idle connection is closed after this.")
    shutdown_seconds: Seconds = Field(
        30.0, description="Time that transfers under way get to finish on SIGTERM."
    )
    sweep_interval_seconds: SecondsOrZero = Field(
        300.0, description="Pause between sweeps by the service; 0: only by the command."
    )
    scrub_days: SecondsOrZero = Field(
        30.0,
        description="Every blob is hashed again once in so many days, by one gateway after the "
        "other; 0: only by the command.",
    )
    scrub_bytes_per_second: Bytes = Field(
        8 * 1024**2, description="How fast that goes, for all gateways together; 0: no limit."
    )
    verify_one_in: CountOrZero = Field(
        100,
        description="One in so many whole downloads through the gateway is hashed while it is "
        "sent, and cut before its end if it is not what was uploaded; 0: none, 1: each.",
    )
    orphan_grace_seconds: SecondsOrZero = Field(
        86_400.0, description="Age at which a blob without a row is removed."
    )
    garbage_grace_seconds: SecondsOrZero = Field(
        3_600.0, description="How long the bytes of a replaced or removed file are kept."
    )
    incoming_grace_seconds: SecondsOrZero = Field(
        3_600.0, description="Age at which the leftovers of a dead upload are removed."
    )
    message_retention_days: CountOrZero = Field(
        0, description="Messages older than this go, a week at a time; 0: they are kept."
    )
    webhook_private_targets: bool = Field(
        False, description="Webhooks may name addresses that are not public; only for tests."
    )
    webhook_hosts: Hosts = Field(
        (),
        description="Hosts that webhooks may name, such as `erp.example.com,*.example.org`; "
        "empty: all.",
    )
    webhook_nameservers: Nameservers = Field(
        (),
        description="DNS servers that are asked for webhooks' hosts, such as `10.0.0.53`; "
        "empty: the system's.",
    )
    webhook_confirmation: Openness = Field(
        "auto",
        description="A host that a user's webhooks have not named before is asked first whether it "
        "wants them. `auto`: where anybody may register from elsewhere.",
    )
    webhook_bytes_per_hour: WebhookBytes = Field(
        1024**3,
        description="Most that is sent to the webhooks of one user in an hour, attempts included; "
        "what is more waits. 0: no limit.",
    )
    webhook_timeout_seconds: Seconds = Field(
        10.0, description="Whole time a receiver has to take one delivery."
    )
    webhook_retry_seconds: Seconds = Field(
        1.0, description="Pause of a webhook after a failure; doubled with each further one."
    )
    webhook_longest_retry_seconds: Seconds = Field(600.0, description="The longest such pause.")
    webhook_attempts: Count = Field(
        100, description="A delivery that failed so often is given up: a dead letter."
    )
    webhook_give_up_seconds: Seconds = Field(
        259_200.0, description="So is one that has waited so long for a receiver that fails."
    )
    webhook_dead_letter_days: Count = Field(30, description="How long dead letters are kept.")
    webhook_concurrency: Count = Field(
        32,
        description="Webhooks delivered to at once, per worker; at most 4 on one host, and at "
        "most three quarters of one user.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug`, `info`, `warning` or `error`."
    )
    commit: str = Field("", description="What `/health` names as the commit of this build.")
    build_time: str = Field("", description="And as the time at which it was built.")
    access_log: bool = Field(True, description="One log line per request.")
    fast_ways: FastWays = Field(
        ALL_WAYS,
        description="Short cuts that are taken: `all`, `off`, a comma list of those, or, each with "
        "a `-`, of those that are not. To find out whether one of them is at fault.",
    )

    @property
    def registration_is_open(self) -> bool:
        """Whether anybody may create a user."""
        if self.open_registration != "auto":
            return self.open_registration == "true"
        return self._is_alone

    @property
    def root_is_allowed(self) -> bool:
        """Whether the service may be root."""
        return self._is_alone if self.allow_root == "auto" else self.allow_root == "true"

    @property
    def hosts_confirm(self) -> bool:
        """Whether hosts of webhooks are asked first."""
        if self.webhook_confirmation != "auto":
            return self.webhook_confirmation == "true"
        return self.registration_is_open and not self._is_alone

    @property
    def _is_alone(self) -> bool:
        """Whether only this machine can reach the gateway."""
        alone = not self.trusted_proxies and self.trusted_proxy_secret is None
        return alone and is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that is configured: the service's own settings, and the groups that were asked for.

    ``unknown`` are variables that look like settings and are none.
    """

    settings: Settings
    groups: tuple[SettingsGroup, ...] = ()
    unknown: tuple[str, ...] = ()

    def group(self, kind: type[Group]) -> Group:
        """The settings of that group. Raises ``LookupError`` if it was not asked for."""
        for group in self.groups:
            if isinstance(group, kind):
                return group
        raise LookupError(kind.__name__)

    def likely(self, unknown: str) -> str | None:
        """The variable that an unknown one was probably meant to be."""
        nearest = difflib.get_close_matches(unknown.upper(), shown(self), 1, _LIKENESS)
        return nearest[0] if nearest else None


def read_configuration(groups: Sequence[type[SettingsGroup]] = ()) -> Configuration:
    """The settings, and those of ``groups``. Raises ``BadSettings`` with every problem there is."""
    kinds: tuple[type[SettingsGroup], ...] = (Settings, *groups)
    problems = list(source_problems(kinds))
    found = {kind: _read(kind, problems) for kind in kinds}
    settings = found[Settings]
    if isinstance(settings, Settings):
        problems += _contradictions(settings)
    if problems:
        raise BadSettings(tuple(problems))
    assert isinstance(settings, Settings), "there was no problem"
    read = tuple(group for kind in groups if (group := found[kind]))
    return Configuration(settings, read, unknown_variables(kinds))


def shown(configuration: Configuration) -> dict[str, str]:
    """Every variable with its effective value as it would be written; secrets masked."""
    return {
        variable_of(type(group), name): _written(name, getattr(group, name))
        for group in (configuration.settings, *configuration.groups)
        for name in type(group).model_fields
    }


def _read(kind: type[SettingsGroup], problems: list[str]) -> SettingsGroup | None:
    try:
        return kind()
    except ValidationError as exc:
        problems += (_worded(kind, error["loc"], error["msg"]) for error in exc.errors())
        return None


def _contradictions(settings: Settings) -> Iterator[str]:
    if settings.admin_password and not settings.admin_email:
        yield "GATEWAY_ADMIN_EMAIL: needed beside GATEWAY_ADMIN_PASSWORD"
    if (settings.link_url is None) != (settings.link_secret is None):
        yield "GATEWAY_LINK_URL: goes with GATEWAY_LINK_SECRET, both or neither"
    if settings.database_direct_url and not settings.database_url:
        yield "GATEWAY_DATABASE_URL: needed beside GATEWAY_DATABASE_DIRECT_URL"
    if settings.store == "memory" and settings.workers > 1:
        yield "GATEWAY_WORKERS: must be 1 with GATEWAY_STORE=memory"
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        yield "GATEWAY_TLS_CERTIFICATE and GATEWAY_TLS_KEY: both or none"
    yield from _s3_contradictions(settings)
    if settings.accel and settings.garbage_grace_seconds < _SWEPT_AFTER * settings.edge_seconds:
        yield (
            f"GATEWAY_GARBAGE_GRACE_SECONDS: at least {_SWEPT_AFTER} times GATEWAY_EDGE_SECONDS, "
            "in which nginx may still open the blob"
        )
    if any(isinstance(peer, Network) and not peer.prefixlen for peer in settings.trusted_proxies):
        yield "GATEWAY_TRUSTED_PROXIES: everybody would be believed: name the proxy, or a network"


def _s3_contradictions(settings: Settings) -> Iterator[str]:
    if settings.store == "s3" and settings.accel == _DISK_LOCATION:
        yield (
            f"GATEWAY_ACCEL: {_DISK_LOCATION} is where nginx has a disk; with GATEWAY_STORE=s3 it "
            "is /_s3, or off"
        )
    if settings.store == "s3" and settings.s3_bucket is None:
        yield "GATEWAY_S3_BUCKET: needed with GATEWAY_STORE=s3"
    if (settings.s3_access_key is None) != (settings.s3_secret_key is None):
        yield "GATEWAY_S3_ACCESS_KEY and GATEWAY_S3_SECRET_KEY: both or none"
    if settings.s3_session_token is not None and settings.s3_access_key is None:
        yield "GATEWAY_S3_SESSION_TOKEN: needs GATEWAY_S3_ACCESS_KEY"
    if settings.s3_redirect and (settings.store != "s3" or settings.s3_access_key is None):
        yield "GATEWAY_S3_REDIRECT: needs GATEWAY_STORE=s3 and GATEWAY_S3_ACCESS_KEY"


def _worded(kind: type[SettingsGroup], location: tuple[int | str, ...], message: str) -> str:
    """The complaint about one field, or about several of them together."""
    message = message.removeprefix("Value error, ")
    if not location:
        return f"{kind.model_config['env_prefix']}*: {message}"
    item = next((f" (item {part + 1})" for part in location[1:] if isinstance(part, int)), "")
    return f"{variable_of(kind, str(location[0]))}{item}: {message}"


def _written(name: str, value: object) -> str:
    if "bytes" in name and isinstance(value, int):
        return written_size(value)
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, frozenset):
        return written_ways(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(value).removesuffix(".0")
    return str(value)
