"""The running service held to its own document: schemathesis, as several callers at once.

Knows how a gateway is filled with things to find, and which of them each caller is told of. What a
request looks like and what an answer must be is the document's business.

``python -m tests.openapi.conformance --result <folder>`` is the long run, which keeps its reports.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from gateway.database.embedded import embedded_server
from tests.openapi.hooks import KEPT_KEY
from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.gravwell import put_user_file
from tests.tools.mainflux import User, sign_in, upload
from tests.tools.ports import HOST
from tests.tools.warm import ROOT

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
)
HOOKS = "tests.openapi.hooks"
LONG_EXAMPLES = 100
LONG_PHASES = dict.fromkeys(
    ("admin", "thing", "nobody", "proxy"), "examples,coverage,fuzzing,stateful"
)
# Coverage asks some twenty times per route, whatever the number of examples.
SHORT_EXAMPLES = 4
SHORT_PHASES = {"admin": "coverage,fuzzing", "thing": "fuzzing", "nobody": "fuzzing"}
# Slowness is no finding here, a hang is.
REQUEST_SECONDS = 30.0
# Deleting what everybody is told of would leave nothing to find, so deleters have victims.
CONFIG = """
[dictionaries.ids]
values = {ids}
[dictionaries.names]
values = {names}
[dictionaries.victims]
values = {victims}
[dictionaries.ranges]
values = ["bytes=0-9", "bytes=-5", "bytes=9-", "bytes=99999-", "bytes=0-1,3-4", "bytes=1-0"]
[dictionaries.tags]
values = ['*', 'W/"x"', '""']
[dictionaries.objects]
values = ['{{}}', '{{"a": [1, null]}}', '{{"big": 1e999}}', '{{"nul": "\\u0000"}}', '{{"half": "\\ud800"}}']

[parameters]
"header.Range" = {{ dictionary = "ranges", probability = 0.7 }}
"header.If-Match" = {{ dictionary = "tags", probability = 0.7 }}
"header.If-None-Match" = {{ dictionary = "tags", probability = 0.3 }}
"query.metadata" = {{ dictionary = "objects", probability = 0.5 }}
"path.id" = {{ dictionary = "ids", probability = 0.6 }}
"path.name" = {{ dictionary = "names", probability = 0.6 }}
"path.file_id" = {{ dictionary = "names", probability = 0.6 }}

[[operations]]
include-method = "DELETE"
parameters."path.id" = {{ dictionary = "victims", probability = 0.6 }}
parameters."path.name" = {{ dictionary = "victims", probability = 0.6 }}
parameters."path.file_id" = {{ dictionary = "victims", probability = 0.6 }}
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who asks."""

    name: str
    headers: Mapping[str, str]
    key: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """What there is to find, and who looks for it."""

    callers: Sequence[Caller]
    config: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What schemathesis said of one caller's requests."""

    caller: str
    status: int
    said: str


async def furnish(gateway: GatewayProcess) -> World:
    """Things, groups and files, some for deleting; and the callers."""
    async with aiohttp.ClientSession() as session:
        admin, key = await _lasting(await sign_in(session, gateway.url))
        thing, shown, doomed = [await admin.thing(f"thing {number}") for number in range(3)]
        group, doomed_group = await admin.group("group", thing.id), await admin.group("doomed")
        for name in ("firmware.bin", "notes.txt", "doomed.bin"):
            await upload(session, f"{gateway.url}/files", thing.headers, name, b"firmware" * 64)
            url = f"{gateway.url}/groups/{group}/files"
            await upload(session, url, admin.headers, name, b"firmware" * 64)
            url = f"{gateway.url}/v1/file/{name}"
            async with session.post(url, data=b"firmware" * 64, headers=admin.headers) as answer:
                assert answer.status == 200, await answer.text()
        guids = [await put_user_file(admin, b"firmware" * 64, Name=name) for name in ("a", "b")]
        # Not the one who asks: accounts are locked here, and all that they have is ended.
        account = {"email": "somebody@email.com", "password": "correct-horse"}
        url = f"{gateway.url}/users"
        async with session.post(url, json=account, headers=admin.headers) as answer:
            user = answer.headers["Location"].rpartition("/")[2]
    config = CONFIG.format(
        ids=json.dumps([shown.id, group, user, guids[0]]),
        names=json.dumps(["firmware.bin", "notes.txt"]),
        victims=json.dumps([doomed.id, doomed_group, "doomed.bin", guids[1]]),
    )
    proxy = {"X-Hasura-User-Id": "42", "X-Hasura-Role": "admin"}
    callers = (
        Caller("admin", admin.headers, key),
        Caller("thing", thing.headers),
        Caller("nobody", {}),
        Caller("proxy", proxy),
    )
    return World(callers, config)


async def _lasting(user: User) -> tuple[User, str]:
    """The user by an API key, which outlives the log-outs that are tried, and the key's id."""
    url = f"{user.url}/keys"
    async with user.session.post(url, json={"type": 2}, headers=user.headers) as answer:
        made = await answer.json()
        return replace(user, token=made["value"]), made["id"]


async def try_everything(
    gateway: GatewayProcess, folder: Path, *, examples: int, phases: Mapping[str, str]
) -> list[Outcome]:
    """Every route, asked by the callers of ``phases``; their reports are left in ``folder``."""
    world = await furnish(gateway)
    config = folder / "schemathesis.toml"
    config.write_text(world.config, encoding="utf-8")
    asking = (
        _ask(gateway.url, caller, config, folder, examples=examples, phases=phases[caller.name])
        for caller in world.callers
        if caller.name in phases
    )
    return list(await asyncio.gather(*asking))


async def _ask(
    url: str, caller: Caller, config: Path, folder: Path, *, examples: int, phases: str
) -> Outcome:
    headers = [f"--header={name}: {value}" for name, value in caller.headers.items()]
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("schemathesis")), f"--config-file={config}", "run"),
        *(f"{url}/openapi.json", f"--url={url}", f"--checks={','.join(CHECKS)}"),
        *(f"--phases={phases}", f"--max-examples={examples}", "--generation-deterministic"),
        *("--generation-allow-x00=true", "--warnings=off"),
        *(f"--request-timeout={REQUEST_SECONDS}", "--continue-on-failure", "--no-color"),
        *("--report=junit,json", f"--report-junit-path={folder / caller.name}.xml"),
        f"--report-json-path={folder / caller.name}.json",
        *headers,
        cwd=folder,
        env=os.environ
        | {"COLUMNS": "160", "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS}
        | {KEPT_KEY: caller.key},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return Outcome(caller.name, process.returncode, said.decode(errors="replace"))


async def _long_run(result: Path, examples: int) -> int:
    with (
        tempfile.TemporaryDirectory() as scratch,
        embedded_server(Path(scratch), superuser=True) as server,
    ):
        reports = Path(scratch) / "reports"
        reports.mkdir()
        async with running_gateway(
            Path(scratch), database_server=server, trusted_proxies=f"{HOST}/32"
        ) as gateway:
            outcomes = await try_everything(gateway, reports, examples=examples, phases=LONG_PHASES)
        for outcome in outcomes:
            print(f"=== {outcome.caller}\n{outcome.said}")
        _keep(reports, gateway, result, failed=any(outcome.status for outcome in outcomes))
    return max(outcome.status for outcome in outcomes)


def _keep(reports: Path, gateway: GatewayProcess, result: Path, *, failed: bool) -> None:
    """The reports, and the service's log if there is something to look for in it."""
    result.mkdir(parents=True, exist_ok=True)
    for report in (*reports.glob("*.json"), *reports.glob("*.xml")):
        shutil.copy(report, result)
    if failed:
        shutil.copy(gateway.log_file, result)


def main() -> int:
    """The long run. Exit status 0 if the service kept to its document."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--result", type=Path, required=True, help="folder for the reports")
    parser.add_argument("--examples", type=int, default=LONG_EXAMPLES, help="per route and phase")
    arguments = parser.parse_args()
    return asyncio.run(_long_run(arguments.result, arguments.examples))


if __name__ == "__main__":
    sys.exit(main())
