"""Where settings come from: ``GATEWAY_*``, an optional env file, files of secrets.

The only reader of the environment. Knows no setting by name: those are in groups, the service's
own in ``core`` and a dialect's in that dialect.

Rule: no complaint repeats a value, because a value may be a secret.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from dotenv import dotenv_values
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

ENV_PREFIX: Final = "GATEWAY_"
ENV_FILE: Final = "GATEWAY_ENV_FILE"
# Where deploy/systemd/ puts it.
INSTALLED_FILE: Final = Path("/etc/filestore-gateway/gateway.env")
_FIRST_HANDED: Final = 3
_FOR_TESTS: Final = "GATEWAY_TESTS_"


class SettingsGroup(BaseSettings):
    """Settings that belong together; a field ``name`` is read from ``env_prefix`` and ``NAME``.

    ``class OwnSettings(SettingsGroup, env_prefix="GATEWAY_OWN_")`` is a group of one's own. A
    secret may instead come from the file that its variable with ``_FILE`` names.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
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


Groups = Iterable[type[SettingsGroup]]


class _SecretFiles(PydanticBaseSettingsSource):
    """Secrets whose ``GATEWAY_<NAME>_FILE`` is set and readable."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The base class asks for it; ``__call__`` does the work."""
        return None, field_name, False

    def __call__(self) -> dict[str, str]:
        group, set_ones = self.settings_cls, _variables()
        assert issubclass(group, SettingsGroup), "only groups have this source"
        return {
            name: text
            for name in secret_names(group)
            if (path := set_ones.get(f"{variable_of(group, name)}_FILE"))
            if (text := _first_line(Path(path))) is not None
        }


def variable_of(group: type[SettingsGroup], name: str) -> str:
    """The variable that the field ``name`` is read from."""
    return f"{group.model_config['env_prefix']}{name}".upper()


def secret_names(group: type[SettingsGroup]) -> tuple[str, ...]:
    """The group's fields that are never shown and may come from a file."""
    fields = group.model_fields.items()
    return tuple(name for name, field in fields if _is_secret(field.annotation))


def secret_variables(groups: Groups) -> tuple[str, ...]:
    """The variables of those fields."""
    return tuple(variable_of(group, name) for group in groups for name in secret_names(group))


def unknown_variables(groups: Groups) -> tuple[str, ...]:
    """``GATEWAY_*`` variables that are no setting: misspelt, or somebody else's."""
    groups = tuple(groups)
    known = {variable_of(group, name) for group in groups for name in group.model_fields}
    known |= {f"{variable}_FILE" for variable in secret_variables(groups)} | {ENV_FILE}
    names = (name for name in _variables() if name.upper().startswith(ENV_PREFIX))
    return tuple(
        sorted(n for n in names if n.upper() not in known and not n.startswith(_FOR_TESTS))
    )


def source_problems(groups: Groups) -> Iterator[str]:
    """What is wrong with the files that settings come from."""
    if complaint := _env_file_problem():
        yield complaint
    set_ones = _variables()
    for variable in secret_variables(groups):
        path = set_ones.get(f"{variable}_FILE")
        if path and not _first_line(Path(path)):
            yield f"{variable}_FILE: cannot be read, or its first line is empty"
        if path and set_ones.get(variable):
            yield f"{variable}: set both directly and by {variable}_FILE"


def adopt_installed_file() -> str | None:
    """Take the settings of the installed gateway, if nothing at all is set; their file.

    For commands that look after it: whoever types one has not its environment.
    """
    is_set = any(name.upper().startswith(ENV_PREFIX) for name in os.environ)
    if is_set or not _may_be_there(INSTALLED_FILE):
        return None
    os.environ[ENV_FILE] = str(INSTALLED_FILE)
    return str(INSTALLED_FILE)


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with ``changes``, for a worker that reads its own settings.

    The file of a changed setting would contradict the change, so it is emptied, which also
    hides one that the env file names.
    """
    return {**os.environ, **{f"{name}_FILE": "" for name in changes}, **changes}


def metrics_directory() -> str | None:
    """Where the workers of one supervisor keep the metrics that are added up."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR") or None


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def _env_file() -> str | None:
    """The env file, if there is one that can be read: what cannot is complained of."""
    return None if _env_file_problem() else os.environ.get(ENV_FILE) or None


def _env_file_problem() -> str | None:
    file = os.environ.get(ENV_FILE)
    if not file:
        return None
    try:
        Path(file).read_text(encoding="utf-8")
    except OSError as exc:
        return f"{ENV_FILE}: {file}: {exc.strerror}"
    except ValueError:
        return f"{ENV_FILE}: {file} is no text"
    return None


def _may_be_there(path: Path) -> bool:
    """Whether the file is there, or in a folder that we may not look into."""
    try:
        return path.is_file()
    except PermissionError:
        return True


def _variables() -> dict[str, str]:
    file = _env_file()
    stored = dotenv_values(file) if file else {}
    return {name: value for name, value in {**stored, **os.environ}.items() if value}


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, ValueError):
        return None


def handed_socket() -> int | None:
    """The descriptor of the socket that systemd holds for us, if it does (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    return _FIRST_HANDED if os.environ.get("LISTEN_FDS", "0") not in {"", "0"} else None
