"""The README's settings table is the code's.

After a change of settings: ``python -m tests.test_settings_table`` rewrites the table.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from gateway.settings.core import Settings, secret_names, shown

README = Path(__file__).parent.parent / "README.md"
TABLE = re.compile(r"(?<=<!-- settings -->\n).*?(?=<!-- /settings -->)", re.DOTALL)


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


def test_the_readme_lists_every_setting_as_it_is() -> None:
    found = TABLE.search(README.read_text(encoding="utf-8"))
    assert found is not None
    assert table() == found.group()


def test_the_table_shows_defaults_and_not_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = table()
    monkeypatch.setitem(os.environ, "GATEWAY_PORT", "1")
    assert before == table()


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(TABLE.sub(lambda _: table(), text), encoding="utf-8")
