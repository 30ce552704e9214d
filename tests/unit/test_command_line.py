"""The command line: exit statuses, what goes where, and what it may never show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import warm
from tests.tools.gateway import new_database
from tests.tools.warm import ROOT

SECRET = "hunter2" * 6


def gateway(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: v for name, v in os.environ.items() if not name.startswith("GATEWAY_")}
    return warm.run("-m", "gateway", *arguments, env=clean | variables)


def test_config_shows_the_effective_settings_and_no_secret() -> None:
    shown = gateway("config", GATEWAY_PORT="1234", GATEWAY_SECRET=SECRET, GATEWAY_PROT="1")
    assert 0 == shown.returncode
    assert "GATEWAY_PORT=1234\n" in shown.stdout
    assert "GATEWAY_SECRET=**********\n" in shown.stdout
    said = "# ignored: GATEWAY_PROT is no setting; did you mean GATEWAY_PORT?\n"
    assert said == shown.stderr


def test_what_config_shows_is_a_usable_env_file(tmp_path: Path) -> None:
    file = tmp_path / "gateway.env"
    variables = {"GATEWAY_TRUSTED_PROXIES": "10.0.0.0/8,unix", "GATEWAY_ALLOWED_EXTENSIONS": "bin"}
    file.write_text(gateway("config", **variables).stdout)
    assert file.read_text() == gateway("config", GATEWAY_ENV_FILE=str(file)).stdout


@pytest.mark.parametrize("command", ["serve", "migrate", "check", "sweep", "scrub", "config"])
def test_a_bad_configuration_is_refused_whole_with_status_2(command: str) -> None:
    refused = gateway(command, GATEWAY_PORT="x", GATEWAY_WORKERS="0", GATEWAY_SECRET="hunter2")
    assert 2 == refused.returncode
    assert "" == refused.stdout
    assert 3 == len(refused.stderr.splitlines())
    assert "hunter2" not in refused.stderr


@pytest.mark.parametrize("arguments", [[], ["bake"], ["serve", "--fast"]], ids=str)
def test_a_bad_command_line_is_refused_with_status_2(arguments: list[str]) -> None:
    assert 2 == gateway(*arguments).returncode


def test_help_names_every_command_but_the_hidden_one() -> None:
    """As a person starts it: by an interpreter of its own, and by the script that is installed."""
    text = subprocess.check_output([sys.executable, "-m", "gateway", "--help"], cwd=ROOT, text=True)
    script = Path(sys.executable).with_name("filestore-gateway")
    assert text == subprocess.check_output([script, "--help"], text=True)
    for command in ("serve", "migrate", "check", "sweep", "scrub", "config", "admin", "doctor"):
        assert f"\n    {command} " in text
    assert "worker" not in text


async def test_migrate_brings_the_schema_up_to_date_once(postgres_server: str) -> None:
    url = await new_database(postgres_server)
    first = gateway("migrate", GATEWAY_DATABASE_URL=url)
    expected = sorted(path.name for path in (ROOT / "sql/migrations").glob("*.sql"))
    shared = [name for name in first.stdout.splitlines() if "/" not in name]
    assert (0, expected, "") == (first.returncode, shared, first.stderr)
    again = gateway("migrate", GATEWAY_DATABASE_URL=url)
    assert (0, "", "") == (again.returncode, again.stdout, again.stderr)


def test_a_dead_database_is_one_sentence_and_status_1() -> None:
    failed = gateway("migrate", GATEWAY_DATABASE_URL=f"postgresql://me:{SECRET}@127.0.0.1:1/x")
    assert 1 == failed.returncode
    place = "PostgreSQL at 127.0.0.1:1, database x, user me"
    assert f"filestore-gateway: {place}: Connection refused\n" == failed.stderr


def test_an_address_that_cannot_be_had_is_one_sentence_and_status_1(tmp_path: Path) -> None:
    failed = gateway(
        "serve",
        GATEWAY_HOST="203.0.113.1",
        GATEWAY_DATA_DIR=str(tmp_path),
        GATEWAY_ALLOW_ROOT="true",
    )
    assert 1 == failed.returncode
    assert failed.stderr.startswith("filestore-gateway: cannot listen on 203.0.113.1 port 8080")
    assert 1 == len(failed.stderr.splitlines())
