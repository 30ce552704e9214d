"""The first password: in a file of whoever runs the gateway, and not where it is logged."""

from __future__ import annotations

import subprocess
from pathlib import Path

from gateway.banner import banner
from gateway.identity.records.users import NewAdmin
from gateway.settings.handout import FIRST_PASSWORD, hand_out

SECRET = "made-up-$(touch x)-`id`"
ADMIN = NewAdmin("admin@example.com", SECRET)


def test_what_is_handed_out_is_for_one_alone(tmp_path: Path) -> None:
    """What an earlier deployment left there is replaced, and no link is followed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FIRST_PASSWORD).symlink_to(elsewhere)
    path = hand_out(tmp_path / "data", FIRST_PASSWORD, SECRET)
    assert (SECRET + "\n", 0o600) == (path.read_text(), path.stat().st_mode & 0o777)
    assert "mine" == elsewhere.read_text()
    assert [path] == list((tmp_path / "data").iterdir())


def test_a_log_is_told_where_it_is_and_its_lines_read_it_there(tmp_path: Path) -> None:
    path = hand_out(tmp_path, FIRST_PASSWORD, SECRET)
    said = banner("http://127.0.0.1:8080", "", ADMIN, path)
    assert SECRET not in said
    assert f"in {path}" in said
    line = next(line for line in said.splitlines() if "password" in line and "-d" in line)
    written = line.strip().removeprefix("-d ").partition(" |")[0].removesuffix(")")
    shell = subprocess.run(["sh", "-c", f"printf %s {written}"], capture_output=True, check=True)
    assert f'"password":"{SECRET}"' in shell.stdout.decode()


def test_a_terminal_is_told_it() -> None:
    assert f"Password:            {SECRET}" in banner("http://127.0.0.1:8080", "", ADMIN)
