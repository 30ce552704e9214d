"""A deployment that is there already, for commands that must not make one.

A command that is started without its settings finds an empty folder: what it would make there
it would also find sound, and say so.

Rule: nothing is made and nothing is migrated; who is missing something is told what to do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

from gateway.commands.schema import check_schema
from gateway.database.embedded import embedded_server
from gateway.database.migrations import missing_migrations
from gateway.model.errors import StartupFailed
from gateway.settings.core import BadSettings, Settings
from gateway.settings.deployed import has_own_database, is_deployed, restoring
from gateway.wiring import Deployment, Stores, direct_dsn, open_stores

_ADVICE: Final = "set GATEWAY_ENV_FILE to its environment file, or GATEWAY_DATA_DIR"


@contextlib.contextmanager
def existing_database(deployment: Deployment) -> Iterator[str]:
    """The DSN of the deployment's database, which has the schema of this gateway.

    Raises ``BadSettings`` if the settings lead to no deployment, ``StartupFailed`` if it has to
    be migrated first, ``CatalogueUnavailable`` if the database does not answer.
    """
    settings = deployment.settings
    check_restored(settings)
    _check_deployed(settings)
    with database(settings) as dsn:
        direct = direct_dsn(settings, dsn)
        missing = asyncio.run(missing_migrations(direct, deployment.sql))
        if missing is None:
            raise BadSettings((f"no deployment in that database; {_ADVICE}",))
        check_schema(missing)
        yield dsn


@contextlib.asynccontextmanager
async def existing_stores(deployment: Deployment, dsn: str) -> AsyncIterator[Stores]:
    """Its stores. Raises ``StartupFailed`` if the database is of another deployment."""
    async with open_stores(deployment, dsn, adopt=False) as stores:
        yield stores


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The DSN of the database; the embedded one runs for the length of the block."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    with embedded_server(settings.data_dir) as dsn:
        yield dsn


def check_restored(settings: Settings) -> None:
    """Raise ``StartupFailed`` if a restore began here and has not ended well."""
    with _looking(settings):
        moment = restoring(settings)
    if moment:
        place = settings.data_dir
        raise StartupFailed(f"the restore of {moment} into {place} was cut: repeat it")


def check_own_database(settings: Settings) -> None:
    """Raise ``BadSettings`` if the database would have to be made here first."""
    with _looking(settings):
        if settings.database_url is None and not has_own_database(settings):
            raise _none_in(settings)


def _check_deployed(settings: Settings) -> None:
    if settings.store == "memory":
        raise BadSettings(("GATEWAY_STORE: memory is seen by nobody but `serve`",))
    with _looking(settings):
        if not is_deployed(settings):
            raise _none_in(settings)


def _none_in(settings: Settings) -> BadSettings:
    return BadSettings((f"no deployment in {settings.data_dir}; {_ADVICE}",))


@contextlib.contextmanager
def _looking(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        place = settings.data_dir
        raise BadSettings((f"GATEWAY_DATA_DIR: {place} cannot be read: {exc.strerror}",)) from exc
