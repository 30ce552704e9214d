"""The settings table in ``docs/settings.md`` is the code's.

After a change of settings: ``python -m tests.test_settings_table`` rewrites the table.
"""

from __future__ import annotations

import os

import pytest

from gateway.settings.core import Settings, secret_names, shown
from tests.documents import pages

PAGE = "docs/settings.md"


def table() -> str:
    """What the table has to be."""
    rows = ["| Variable | Default | Meaning |", "|---|---|---|"]
    defaults = shown(Settings.model_construct())
    for name, field in Settings.model_fields.items():
        variable = f"GATEWAY_{name.upper()}"
        default = f"`{defaults[variable]}`" if defaults[variable] else "unset"
        marked = f"`{variable}`" + (" (secret)" if name in secret_names() else "")
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
