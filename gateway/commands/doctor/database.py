"""The database: that it answers, what its schema is, its clock, its connections, whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.commands.doctor.line import Line, fail, ok, warn
from gateway.commands.schema import check_news
from gateway.database.embedded import embedded_postgres
from gateway.database.facts import Facts, facts_of
from gateway.identity.secrets import Keyring
from gateway.model.errors import CatalogueUnavailable, StartupFailed
from gateway.settings.core import BadSettings, Settings
from gateway.settings.deployed import has_own_database
from gateway.settings.secret import stored_secrets
from gateway.wiring import Deployment, direct_dsn

_ABOUT: Final = "database"
_CLOCK: Final = "clock"
_SCHEMA: Final = "schema"
_NEWS: Final = "news"
_MOST_SECONDS: Final = 2.0
_LISTENERS: Final = 2  # of each worker: one for changes, one more while it starts


async def database_lines(deployment: Deployment) -> list[Line]:
    """How the database is."""
    settings = deployment.settings
    try:
        if settings.database_url is not None:
            dsn = settings.database_url.get_secret_value()
            facts = await facts_of(direct_dsn(settings, dsn), deployment.sql)
            return [*_lines(settings, facts), await _news(settings, dsn)]
        if not has_own_database(settings):
            found = f"there is none in {settings.data_dir} yet"
            return [warn(_ABOUT, found, "`serve` makes it; or set GATEWAY_DATABASE_URL")]
        async with embedded_postgres(settings.data_dir) as dsn:
            return list(_lines(settings, await facts_of(dsn, deployment.sql)))
    except CatalogueUnavailable as exc:
        return [fail(_ABOUT, str(exc), "start it, or mend GATEWAY_DATABASE_URL")]
    except StartupFailed as exc:
        return [fail(_ABOUT, str(exc), "install the release that wrote it, or a newer one")]
    except OSError as exc:
        return [fail(_ABOUT, f"{settings.data_dir}: {exc.strerror}", "run as the gateway's user")]


async def _news(settings: Settings, dsn: str) -> Line:
    try:
        await check_news(settings, dsn)
    except StartupFailed as exc:
        return fail(_NEWS, "a change at one gateway would not be heard by the others", str(exc))
    return ok(_NEWS, "what one gateway announces is heard")


def _lines(settings: Settings, facts: Facts) -> Iterator[Line]:
    yield ok(_ABOUT, f"PostgreSQL {facts.version} at {facts.place.removeprefix('PostgreSQL at ')}")
    if facts.read_only:
        advice = "name the primary in GATEWAY_DATABASE_URL"
        yield fail(_ABOUT, "it is a standby: nothing can be written", advice)
    yield _connections(settings, facts)
    yield _clock(facts)
    yield _schema(facts)
    yield _owner(settings, facts)


def _connections(settings: Settings, facts: Facts) -> Line:
    wanted = settings.workers * (settings.database_connections + _LISTENERS)
    found = (
        f"{facts.connections} connections, {facts.used} in use; the gateway takes up to {wanted}"
    )
    if wanted > facts.connections:
        advice = "raise max_connections, or lower GATEWAY_DATABASE_CONNECTIONS"
        return warn(_ABOUT, found, advice)
    return ok(_ABOUT, found)


def _clock(facts: Facts) -> Line:
    found = f"the database's is {facts.seconds_ahead:+.1f} s from this machine's"
    if abs(facts.seconds_ahead) > _MOST_SECONDS:
        return warn(_CLOCK, found, "let both keep time by NTP: tokens and dates depend on it")
    return ok(_CLOCK, found)


def _schema(facts: Facts) -> Line:
    if facts.missing is None:
        return warn(_SCHEMA, "there are no tables yet", "`serve` or `migrate` makes them")
    if facts.missing:
        found = f"it lacks {len(facts.missing)} migrations, {facts.missing[0]} first"
        return warn(_SCHEMA, found, "`migrate`, or a start of `serve`, brings it up to date")
    return ok(_SCHEMA, f"up to date, the last is {facts.last}")


def _owner(settings: Settings, facts: Facts) -> Line:
    about = "secret"
    try:
        known = [secret.encode() for secret in stored_secrets(settings)]
    except BadSettings as exc:
        return fail(about, str(exc), "restore DATA_DIR/secret, or set GATEWAY_SECRET")
    if facts.fingerprint is None:
        return warn(about, "the database is of no deployment yet", "the first `serve` takes it")
    if not known or facts.fingerprint not in Keyring(*known).fingerprints:
        found = "the database belongs to a deployment with another secret"
        return fail(about, found, "restore that DATA_DIR/secret, or set that GATEWAY_SECRET")
    return ok(about, "it is the one that this database was made with")
