"""The attack suite: ``python -m tests.attack --result FILE``, as ``make attack`` runs it.

Each attack has a gateway of its own. What was tried is in the result file at once, and what passed there at this
commit is not tried again (``--again`` does), so a run that was stopped goes on where it was. Who shares the machine
shares the times: so the same attackers are also let loose on a sink (the control), and they have the machine's
last priority, for they stand for other machines. An attack that failed by its p99 alone is tried again, ``--tries`` times, and every try is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gateway.database.embedded import embedded_server
from tests.attack.attacks import ATTACKS
from tests.attack.stage import Verdict, scene_of, tried
from tests.tools.warm import ROOT

FIRST = -15
Results = dict[str, Any]


def main() -> int:
    """Attack; 1 if anything is not as promised."""
    options = _options()
    # What else the machine has to do is neither the gateway's fault nor its merit.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, FIRST)
    results: Results = {}
    if options.result.exists() and not options.again:
        results = json.loads(options.result.read_text(encoding="utf-8"))
    commit = _commit()
    if results.get("commit") != commit:
        results = {"commit": commit, "attacks": {}}
    results |= {"python": platform.python_version(), "cores": os.cpu_count()}
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_server(Path(folder), superuser=True) as server,
    ):
        asyncio.run(_attack_all(options, server, results))
    unmet = {n: r["unmet"] for n, r in results["attacks"].items() if r["unmet"]}
    print(f"{len(results['attacks'])} attacks, {len(unmet)} of them not as promised", unmet)
    return 1 if unmet else 0


async def _attack_all(options: argparse.Namespace, server: str, results: Results) -> None:
    for name in options.only or ATTACKS:
        known = results["attacks"].get(name)
        if known is not None and not known["unmet"]:
            continue
        tries: list[Results] = []
        for _ in range(options.tries):
            verdict = await _attack(name, options, server)
            tries.append(verdict.shown() | {"load": round(os.getloadavg()[0], 1)})
            print(_line(name, verdict), flush=True)
            if verdict.unmet != ["p99"]:
                break
        results["attacks"][name] = tries[-1] | {"earlier_tries": tries[:-1]}
        _write(options.result, results)


async def _attack(name: str, options: argparse.Namespace, server: str) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        async with scene_of(
            Path(folder), name, database_server=server, scale=options.scale
        ) as scene:
            return await tried(scene, name, seconds=options.seconds, timed=True)


def _line(name: str, verdict: Verdict) -> str:
    return (
        f"{name:20} p99 {verdict.p99:7.2f} ms; {verdict.times_quiet:4.1f} times quiet, {verdict.times_control:4.1f} "
        f"times control; loop late p99 {verdict.loop_p99:.1f}, longest {verdict.loop_longest:.1f}, worked "
        f"{verdict.worked_p99:.1f} ms; {verdict.memory:4} MiB; back in {verdict.recovered_seconds:.1f} s; "
        f"{verdict.unmet or 'held'}"
    )


def _write(result: Path, results: Results) -> None:
    result.parent.mkdir(parents=True, exist_ok=True)
    part = result.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    part.replace(result)


def _commit() -> str:
    said = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return said.stdout.strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--result", type=Path, default=Path("tests/out/attack.json"))
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--only", nargs="*", choices=sorted(ATTACKS))
    parser.add_argument("--again", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
