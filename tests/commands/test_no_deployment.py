"""No command but serve makes a deployment, and each says where it would look for one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.tools import warm
from tests.tools.gateway import new_database

CALLED = "import sys; from gateway.settings import sources; from pathlib import Path\n"
CALLED += "sources.INSTALLED_FILE = Path(sys.argv.pop(1))\n"
CALLED += "from gateway.__main__ import main; sys.exit(main())"
ADVICE = "set GATEWAY_ENV_FILE to its environment file, or GATEWAY_DATA_DIR"
COMMANDS = [["check"], ["scrub"], ["sweep"], ["migrate"], ["admin", "list"], ["check", "--repair"]]


def run(
    folder: Path, *arguments: str, installed: str = "/nonexistent", **variables: str
) -> subprocess.CompletedProcess[str]:
    """A command in that folder, on a machine where the installed settings are in that file."""
    clean = {name: v for name, v in os.environ.items() if not name.startswith("GATEWAY_")}
    return warm.run("-c", CALLED, installed, *arguments, cwd=folder, env=clean | variables)


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_without_a_deployment_a_command_says_so_and_makes_none(
    arguments: list[str], tmp_path: Path
) -> None:
    done = run(tmp_path, *arguments)
    assert (2, "") == (done.returncode, done.stdout)
    assert "no deployment in var; set GATEWAY_ENV_FILE" in done.stderr
    assert [] == list(tmp_path.iterdir())


async def test_a_database_that_no_gateway_has_used_is_no_deployment(
    tmp_path: Path, postgres_server: str
) -> None:
    for folder in ("blobs", "incoming"):
        (tmp_path / "var" / folder).mkdir(parents=True)
    given = {
        "GATEWAY_DATABASE_URL": await new_database(postgres_server),
        "GATEWAY_SECRET": "s" * 40,
    }
    done = run(tmp_path, "check", **given)
    assert (2, True) == (done.returncode, "no deployment in that database" in done.stderr)
    assert 0 == run(tmp_path, "migrate", **given).returncode
    done = run(tmp_path, "check", **given)
    assert (1, True) == (done.returncode, "belongs to no deployment" in done.stderr)


def test_the_installed_settings_are_read_when_nothing_else_is_set(tmp_path: Path) -> None:
    installed = tmp_path / "gateway.env"
    installed.write_text("GATEWAY_DATA_DIR=/srv/of/the/installed\n")
    done = run(tmp_path, "check", installed=str(installed))
    assert 2 == done.returncode
    assert [
        f"filestore-gateway: settings of {installed}",
        f"filestore-gateway: no deployment in /srv/of/the/installed; {ADVICE}",
    ] == done.stderr.splitlines()
    assert (
        "no deployment in here;"
        in run(tmp_path, "check", installed=str(installed), GATEWAY_DATA_DIR="here").stderr
    )


def test_an_env_file_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "check", GATEWAY_ENV_FILE=str(tmp_path))
    assert (2, f"filestore-gateway: GATEWAY_ENV_FILE: {tmp_path}: Is a directory\n") == (
        done.returncode,
        done.stderr,
    )
