"""``make mutation``: mutmut on the areas of ``areas.py``, one after the other.

Each area has a folder of its own below ``var/mutation``, a copy of the tree in which mutmut keeps what it has
already found out; so a run that was ended is taken up where it was, and survivors are tried again. ``ARGS="--fresh"`` begins anew,
``ARGS="ranges names"`` takes these alone. The survivors are reviewed in ``survivors.md``: a run fails if
an area has less than ``LEAST`` of its mutants killed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from gateway.database.embedded import embedded_server
from tests.databases import SERVER, prepare_server
from tests.mutation.areas import AREAS, Area

ROOT = Path(__file__).parents[2]
WORK = ROOT / "var" / "mutation"
COPIED = ("gateway", "tests", "sql", "deploy", "docs", "setup.cfg", "pyproject.toml")
SURVIVED, UNTESTED = 0, 33
LEAST = 0.9
SETTINGS = """
[mutmut]
source_paths=
    gateway
only_mutate=
    {modules}
pytest_add_cli_args=
    -p
    no:cacheprovider
    -o
    timeout=60
pytest_add_cli_args_test_selection=
    {tests}
also_copy=
    sql
    deploy
    docs
timeout_constant=5.0
use_git_change_detection=false
track_dependencies=false
"""


def main() -> int:
    """Mutate, report, and say whether enough was noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="area", help="all unless given")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs found out")
    parser.add_argument("--result", type=Path, required=True, help="where to write the JSON result")
    options = parser.parse_args()
    chosen = [area for area in AREAS if not options.areas or area.name in options.areas]
    for area in chosen:
        started = time.monotonic()
        with _server(area) as environment:
            _mutate(area, environment, fresh=options.fresh)
        result = _judged(area) | {"seconds": round(time.monotonic() - started)}
        print(json.dumps({area.name: result["score"]}), flush=True)
        _keep(options.result, area.name, result)
    return 0 if _enough(options.result, chosen) else 1


@contextlib.contextmanager
def _server(area: Area) -> Iterator[dict[str, str]]:
    """What the tests find in their environment: also a server, if they need one."""
    if not area.server:
        yield dict(os.environ)
        return
    folder = WORK / f"{area.name}-postgres"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with embedded_server(folder, superuser=True) as dsn:
        prepare_server(dsn)
        yield os.environ | {SERVER: dsn}
    shutil.rmtree(folder, ignore_errors=True)


def _mutate(area: Area, environment: dict[str, str], *, fresh: bool) -> None:
    folder = WORK / area.name
    if fresh:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        _copy(ROOT / name, folder / name)
    _forget_survivors(folder / "mutants")
    with (folder / "setup.cfg").open("a", encoding="utf-8") as file:
        lists = {"modules": "\n    ".join(area.modules), "tests": "\n    ".join(area.tests)}
        file.write(SETTINGS.format(**lists))
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "mutmut", "run", "--max-children", "1"]
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=log, stderr=log, check=False
        )
    if done.returncode:
        said = (folder / "log").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"mutmut failed in {area.name}: {said[-2000:]}")


def _forget_survivors(mutants: Path) -> None:
    """They are tried again, by the tests that there are now."""
    (mutants / "mutmut-stats.json").unlink(missing_ok=True)
    for meta in mutants.rglob("*.meta"):
        kept = json.loads(meta.read_bytes())
        codes: dict[str, int | None] = kept["exit_code_by_key"]
        kept["exit_code_by_key"] = {
            name: None if code in {SURVIVED, UNTESTED} else code for name, code in codes.items()
        }
        meta.write_text(json.dumps(kept, indent=4), encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    """A copy that keeps the times: what is unchanged is not mutated again."""
    if source.is_file():
        shutil.copy2(source, target)
        return
    ignored = shutil.ignore_patterns("__pycache__", "out")
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored)


def _judged(area: Area) -> dict[str, object]:
    """How many mutants each module had and who survived."""
    modules: dict[str, object] = {}
    survivors: dict[str, str] = {}
    total, alive = 0, 0
    for module in area.modules:
        codes = _codes(area, module)
        left = [name for name, code in codes.items() if code in {SURVIVED, UNTESTED}]
        survivors |= {name: _shown(area, name) for name in left}
        modules[module] = {"mutants": len(codes), "killed": len(codes) - len(left)} | {
            "score": round(1 - len(left) / len(codes), 3)
        }
        total, alive = total + len(codes), alive + len(left)
    return {
        "mutants": total,
        "score": round(1 - alive / total, 3),
        "modules": modules,
        "survivors": survivors,
        "mutmut": version("mutmut"),
        "python": platform.python_version(),
    }


def _codes(area: Area, module: str) -> dict[str, int]:
    meta = WORK / area.name / "mutants" / f"{module}.meta"
    codes: dict[str, int | None] = json.loads(meta.read_bytes())["exit_code_by_key"]
    known = {name: code for name, code in codes.items() if code is not None}
    if len(known) < len(codes):
        raise RuntimeError(f"{module}: {Counter(codes.values())[None]} mutants were not tried")
    return known


def _shown(area: Area, mutant: str) -> str:
    command = [sys.executable, "-m", "mutmut", "show", mutant]
    said = subprocess.run(command, cwd=WORK / area.name, capture_output=True, text=True, check=True)
    lines = said.stdout.splitlines()
    return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in ("---", "+++"))


def _keep(path: Path, name: str, result: dict[str, object]) -> None:
    kept = json.loads(path.read_bytes()) if path.exists() else {}
    kept[name] = result
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _enough(path: Path, areas: list[Area]) -> bool:
    kept = json.loads(path.read_bytes())
    return all(kept[area.name]["score"] >= LEAST for area in areas)


if __name__ == "__main__":
    sys.exit(main())
