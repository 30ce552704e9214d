"""A deployment as a test wants it, without the environment."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence

from gateway.database.statements import SqlFolder
from gateway.dialects import DIALECTS
from gateway.settings.core import Configuration, Settings
from gateway.settings.sources import SettingsGroup, variable_of
from gateway.web.dialect import Dialect
from gateway.wiring import Deployment


def groups_of(dialects: Iterable[Dialect] = DIALECTS) -> tuple[type[SettingsGroup], ...]:
    """The service's own settings, and those of the dialects."""
    return (Settings, *(d.settings for d in dialects if d.settings is not None))


def deployment_of(dialects: Sequence[Dialect] = DIALECTS, /, **chosen: object) -> Deployment:
    """These dialects with these settings, each named as its variable without ``GATEWAY_``.

    Raises ``TypeError`` for what is no setting.
    """
    check_names(chosen, dialects)
    settings, *groups = (_configured(kind, chosen) for kind in groups_of(dialects))
    assert isinstance(settings, Settings), "they come first"
    return Deployment(tuple(dialects), Configuration(settings, tuple(groups)))


def check_names(chosen: Iterable[str], dialects: Sequence[Dialect] = DIALECTS) -> None:
    """Raise ``TypeError`` for what is no setting."""
    known = {short for kind in groups_of(dialects) for short in _short_names(kind)}
    if unknown := set(chosen) - known:
        raise TypeError(f"no such settings: {', '.join(sorted(unknown))}")


@functools.cache
def _short_names(kind: type[SettingsGroup]) -> dict[str, str]:
    """Each field's name in tests, with the field's own."""
    fields = kind.model_fields
    return {variable_of(kind, n).removeprefix("GATEWAY_").lower(): n for n in fields}


def _configured(kind: type[SettingsGroup], chosen: Mapping[str, object]) -> SettingsGroup:
    names = _short_names(kind).items()
    own = {field: chosen[n] for n, field in names if n in chosen}
    if own or any(name.startswith("GATEWAY_") for name in os.environ):
        return kind.model_validate(own)
    return _unchanged(kind)


@functools.cache
def _unchanged(kind: type[SettingsGroup]) -> SettingsGroup:
    """A group of which nothing is set. It cannot be changed, so whoever has it may share it."""
    return kind.model_validate({})


def sql_folders() -> tuple[SqlFolder, ...]:
    """What the dialects bring for the database to know and to have."""
    return tuple(dialect.sql for dialect in DIALECTS if dialect.sql is not None)
