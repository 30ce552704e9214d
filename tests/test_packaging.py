"""What is installed is what is here: every package, every SQL file, editable and as a wheel."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
READ_SQL = """
from importlib import resources
files = resources.files("gateway.sql")
def found(folder, path=""):
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from found(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(".sql"):
            yield path + entry.name
print(*sorted(found(files)), sep="\\n")
"""


def sql_files() -> list[str]:
    return sorted(str(path.relative_to(ROOT / "sql")) for path in (ROOT / "sql").rglob("*.sql"))


def test_every_package_is_listed() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "gateway").rglob("__init__.py")
    }
    assert found | {"gateway.sql"} == set(setup["options"]["packages"].split())


def test_sql_is_found_in_the_editable_install(tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", READ_SQL], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert sql_files() == shown.stdout.split()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy, in which no earlier build can leak into this one
    for package in ("gateway", "sql"):
        shutil.copytree(ROOT / package, source / package)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", folder, source],
        capture_output=True,
        check=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_sql_is_found_in_the_wheel(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    # -I and -S: neither this folder nor the editable install may answer for the wheel.
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{READ_SQL}"
    shown = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    assert sql_files() == shown.stdout.split()


def test_the_wheel_has_every_module_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        entry = next(n for n in archive.namelist() if n.endswith("entry_points.txt"))
        assert b"filestore-gateway = gateway.__main__:main" in archive.read(entry)
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "gateway").rglob("*.py")}
    sql = {f"gateway/sql/{name}" for name in [*sql_files(), "__init__.py"]}
    assert modules | sql | {"gateway/py.typed"} == names
