"""Settings: one frozen value, read once from ``GATEWAY_*`` and an optional env file.

The only reader of the environment. Knows no asyncpg, no aiohttp, and starts nothing.

Rule: a bad configuration is refused as a whole, every problem named at once, and no
complaint repeats a value, because a value may be a secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from gateway.settings.fastways import ALL_WAYS, FastWays, written_ways
from gateway.settings.types import (
    Bytes,
    Count,
    CountOrZero,
    DatabaseUrl,
    Email,
    Extensions,
    HttpUrl,
    Location,
    Password,
    Peers,
    Prefix,
    Rate,
    Seconds,
    SecondsOrZero,
    Secret,
)

ENV_PREFIX: Final = "GATEWAY_"
ENV_FILE: Final = "GATEWAY_ENV_FILE"
_FOR_TESTS: Final = "GATEWAY_TESTS_"
_SWEPT_AFTER: Final = 10


class BadSettings(Exception):
    """The configuration cannot be used; ``problems`` has every reason."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """Every setting; a field ``name`` is read from ``GATEWAY_NAME``.

    A secret may instead come from the file that ``GATEWAY_NAME_FILE`` names.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
    )

    host: str = Field("127.0.0.1", description="Address to listen on, or `unix:/path/of/socket`.")
    port: int = Field(8080, ge=0, le=65535, description="Port; 0 takes a free one.")
    data_dir: Path = Field(
        Path("var"), description="Blobs, uploads under way, the secret and the embedded database."
    )
    store: Literal["disk", "memory"] = Field(
        "disk",
        description="Where blobs are kept: `disk`, under `DATA_DIR`; or `memory`, which ends with "
        "the process and is for tests and trials.",
    )
    memory_store_bytes: Count = Field(
        256 * 1024**2, description="Most that all blobs in memory take together."
    )
    database_url: DatabaseUrl | None = Field(
        None, description="`postgresql://` URL; unset: an embedded PostgreSQL under `DATA_DIR`."
    )
    database_connections: Count = Field(10, description="Most connections, per worker.")
    database_wait_seconds: Seconds = Field(
        5.0, description="Longest wait for a connection before a 503."
    )
    prefix: Prefix = Field(
        "/filestore", description="Every route answers under this prefix and at the root."
    )
    secret: Secret | None = Field(
        None,
        description="Signs tokens and guards keys, 32 characters or more; "
        "unset: generated once into `DATA_DIR/secret`.",
    )
    admin_email: Email | None = Field(
        None, description="The first administrator, made at first start; unset: generated."
    )
    admin_password: Password | None = Field(
        None, description="Its password, 8 characters or more; unset: generated and printed once."
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
    hasura_policy: Literal["admin", "private", "public", "read-only"] = Field(
        "admin",
        description="Who may do what on the Hasura routes, unless a hook decides: `admin`, "
        "`private`, `public` or `read-only`.",
    )
    max_file_bytes: Count = Field(16 * 1024**3, description="Largest file accepted.")
    max_concurrent_requests: Count = Field(
        20_000, description="Requests under way at once, per worker; more get 429."
    )
    max_concurrent_uploads: Count = Field(
        256, description="Uploads under way at once, per worker; more get 429."
    )
    min_free_bytes: Bytes = Field(
        64 * 1024**2, description="An upload that would leave less room on the disk gets 507."
    )
    allowed_extensions: Extensions = Field(
        (), description="Comma list such as `bin,img`; empty: any."
    )
    md5: bool = Field(False, description="Also compute and store MD5, for old clients.")
    accel: Location = Field(
        None,
        description="Internal nginx location such as `/_blobs` for X-Accel-Redirect; `off`: none.",
    )
    edge_seconds: SecondsOrZero = Field(
        2.0,
        description="Longest time nginx in edge mode may act on a decision, counted from when the "
        "gateway looked; 0: it asks for every request.",
    )
    trusted_proxies: Peers = Field(
        (),
        description="Comma list of networks and `unix`; only these may send X-Forwarded-* "
        "and X-Hasura-*.",
    )
    trusted_proxy_secret: SecretStr | None = Field(
        None, description="A peer that sends it in `X-Filestore-Proxy-Secret` is trusted too."
    )
    workers: int = Field(1, ge=1, le=256, description="Processes that share the port.")
    io_threads: int = Field(4, ge=1, le=256, description="Disk and hash threads, per worker.")
    open_registration: bool = Field(
        True, description="Anybody may create a user; else only an administrator."
    )
    token_seconds: Seconds = Field(36_000.0, description="Lifetime of a user's token.")
    stall_seconds: Seconds = Field(
        60.0, description="An upload that moves no byte for so long is cut."
    )
    download_stall_seconds: Seconds = Field(
        300.0, description="A download whose client takes no byte for so long is cut."
    )
    min_upload_bytes_per_second: Bytes = Field(
        100, description="An upload slower than this on average is cut; 0: no floor."
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
        32, description="Webhooks delivered to at once, per worker; at most 4 on one host."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="`debug`, `info`, `warning` or `error`."
    )
    access_log: bool = Field(True, description="One log line per request.")
    fast_ways: FastWays = Field(
        ALL_WAYS,
        description="Short cuts that are taken: `all`, `off`, a comma list of those, or, each with "
        "a `-`, of those that are not. To find out whether one of them is at fault.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the env file; a secret's file stands in for the secret."""
        env_file = DotEnvSettingsSource(settings_cls, env_file=_env_file())
        return (init_settings, env_settings, env_file, _SecretFiles(settings_cls))


class _SecretFiles(PydanticBaseSettingsSource):
    """Secrets whose ``GATEWAY_<NAME>_FILE`` is set and readable."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The base class asks for it; ``__call__`` does the work."""
        return None, field_name, False

    def __call__(self) -> dict[str, str]:
        return {
            name: text
            for name, path in _secret_files(_variables())
            if (text := _first_line(path)) is not None
        }


def read_settings() -> Settings:
    """The settings. Raises ``BadSettings`` with every problem there is."""
    problems = list(_source_problems())
    try:
        settings = Settings()
    except ValidationError as exc:
        problems += (_worded(error["loc"], error["msg"]) for error in exc.errors())
        raise BadSettings(tuple(problems)) from None
    if settings.admin_password and not settings.admin_email:
        problems.append("GATEWAY_ADMIN_EMAIL: needed beside GATEWAY_ADMIN_PASSWORD")
    if settings.store == "memory" and settings.workers > 1:
        problems.append("GATEWAY_WORKERS: must be 1 with GATEWAY_STORE=memory")
    if settings.accel and settings.garbage_grace_seconds < _SWEPT_AFTER * settings.edge_seconds:
        problems.append(
            f"GATEWAY_GARBAGE_GRACE_SECONDS: at least {_SWEPT_AFTER} times GATEWAY_EDGE_SECONDS, "
            "in which nginx may still open the blob"
        )
    if problems:
        raise BadSettings(tuple(problems))
    return settings


def unknown_variables() -> tuple[str, ...]:
    """``GATEWAY_*`` variables that are no setting: misspelt, or somebody else's."""
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{ENV_PREFIX}{name.upper()}_FILE" for name in secret_names()} | {ENV_FILE}
    names = (name for name in _variables() if name.upper().startswith(ENV_PREFIX))
    return tuple(
        sorted(n for n in names if n.upper() not in known and not n.startswith(_FOR_TESTS))
    )


def secret_names() -> tuple[str, ...]:
    """The settings that are never shown and may come from a file."""
    fields = Settings.model_fields.items()
    return tuple(name for name, field in fields if "SecretStr" in repr(field.annotation))


def shown(settings: Settings) -> dict[str, str]:
    """Every variable with its effective value as it would be written; secrets masked."""
    return {
        f"{ENV_PREFIX}{name.upper()}": _written(getattr(settings, name))
        for name in Settings.model_fields
    }


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with ``changes``, for a worker that reads its own settings.

    The file of a changed setting would contradict the change, so it is emptied, which also
    hides one that the env file names.
    """
    return {**os.environ, **{f"{name}_FILE": "" for name in changes}, **changes}


def metrics_directory() -> str | None:
    """Where the workers of one supervisor keep the metrics that are added up."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR") or None


def _env_file() -> str | None:
    return os.environ.get(ENV_FILE) or None


def _variables() -> dict[str, str]:
    file = _env_file()
    stored = dotenv_values(file) if file and Path(file).is_file() else {}
    return {name: value for name, value in {**stored, **os.environ}.items() if value}


def _secret_files(variables: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    for name in secret_names():
        path = variables.get(f"{ENV_PREFIX}{name.upper()}_FILE")
        if path:
            yield name, Path(path)


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, ValueError):
        return None


def _source_problems() -> Iterator[str]:
    file = _env_file()
    if file and not Path(file).is_file():
        yield f"{ENV_FILE}: no such file"
    variables = _variables()
    for name, path in _secret_files(variables):
        variable = f"{ENV_PREFIX}{name.upper()}"
        if not _first_line(path):
            yield f"{variable}_FILE: cannot be read, or its first line is empty"
        if variables.get(variable):
            yield f"{variable}: set both directly and by {variable}_FILE"


def _worded(location: tuple[int | str, ...], message: str) -> str:
    variable = f"{ENV_PREFIX}{str(location[0]).upper()}"
    item = next((f" (item {part + 1})" for part in location[1:] if isinstance(part, int)), "")
    return f"{variable}{item}: {message.removeprefix('Value error, ')}"


def _written(value: object) -> str:
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
