"""The settings table in ``docs/settings.md`` is the code's.

After a change of settings: ``python -m tests.test_settings_table`` rewrites the table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pydantic.fields import FieldInfo

from gateway.settings.core import Configuration, Settings, shown
from gateway.settings.sources import SettingsGroup, secret_names, variable_of
from tests.documents import pages
from tests.tools.deployment import groups_of

PAGE = "docs/settings.md"


def fields() -> Iterator[tuple[type[SettingsGroup], str, FieldInfo]]:
    """Every setting, the service's own first."""
    for group in groups_of():
        for name, field in group.model_fields.items():
            yield group, name, field


def table() -> str:
    """What the table has to be."""
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    settings, *groups = (group.model_construct() for group in groups_of())
    assert isinstance(settings, Settings)
    defaults = shown(Configuration(settings, tuple(groups)))
    for group, name, field in fields():
        variable = variable_of(group, name)
        default = f"`{defaults[variable]}`" if defaults[variable] else "unset"
        marked = f"`{variable}`" + (" (secret)" if name in secret_names(group) else "")
        rows.append(f"| {marked} | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def test_the_page_lists_every_setting_as_it_is() -> None:
    assert table() == pages.table(PAGE, "settings")


def test_the_table_shows_defaults_and_not_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = table()
    monkeypatch.setitem(os.environ, "GATEWAY_PORT", "1")
    assert before == table()


if __name__ == "__main__":
    pages.rewrite(PAGE, "settings", table())
