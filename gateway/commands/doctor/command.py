"""The command: asks everything there is to ask, and tells it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Final

from gateway.commands.doctor.database import database_lines
from gateway.commands.doctor.front import Trial, front_lines
from gateway.commands.doctor.line import Level, Line, fail, ok, warn
from gateway.commands.doctor.machine import descriptor_line, disk_lines, port_line, secret_line
from gateway.commands.doctor.store import store_lines
from gateway.model.errors import StartupFailed
from gateway.process.terminal import print_json, printable, wants_json
from gateway.settings.core import BadSettings
from gateway.web.dialect import Dialect
from gateway.wiring import Deployment, read_deployment

_SETTINGS: Final = "settings"
_COLOURS: Final = {Level.OK: "\x1b[32m", Level.WARN: "\x1b[33m", Level.FAIL: "\x1b[31m"}


def doctor(dialects: Sequence[Dialect], arguments: argparse.Namespace) -> int:
    """Look at everything; 1 if something fails."""
    lines = asyncio.run(_collect(dialects, arguments))
    healthy = all(line.level is not Level.FAIL for line in lines)
    if wants_json(forced=arguments.json):
        print_json({"healthy": healthy, "checks": [_named(line) for line in lines]})
    else:
        for line in lines:
            _print(line)
    return 0 if healthy else 1


async def _collect(dialects: Sequence[Dialect], arguments: argparse.Namespace) -> list[Line]:
    try:
        deployment = read_deployment(dialects)
    except BadSettings as exc:
        return [fail(_SETTINGS, problem, "mend it, then ask again") for problem in exc.problems]
    return [line async for line in _lines(deployment, arguments)]


async def _lines(deployment: Deployment, arguments: argparse.Namespace) -> AsyncIterator[Line]:
    settings = deployment.settings
    for line in _settings_lines(deployment):
        yield line
    yield secret_line(settings)
    for line in disk_lines(settings):
        yield line
    async for line in store_lines(settings):
        yield line
    try:
        for line in await database_lines(deployment):
            yield line
    except StartupFailed as exc:
        yield fail("database", str(exc), "see docs/operations.md")
    yield await port_line(settings)
    yield descriptor_line()
    if arguments.url:
        trial = Trial(arguments.url, arguments.credential, arguments.path)
        for line in await front_lines(settings, trial):
            yield line


def _settings_lines(deployment: Deployment) -> list[Line]:
    configuration = deployment.configuration
    lines = [
        warn(_SETTINGS, f"{name} is no setting and is ignored", _guess(configuration.likely(name)))
        for name in configuration.unknown
    ]
    return lines or [ok(_SETTINGS, "every variable is known and every value can be used")]


def _guess(likely: str | None) -> str:
    return f"did you mean {likely}?" if likely else "`filestore-gateway config` lists them all"


def _named(line: Line) -> dict[str, str]:
    named = {"level": line.level, "about": line.about, "found": line.found}
    return {**named, "advice": line.advice} if line.advice else {**named}


def _print(line: Line) -> None:
    level = f"{_COLOURS[line.level]}{line.level:<4}\x1b[0m"
    sys.stdout.write(f"{level}  {line.about:<12} {printable(line.found)}\n")
    if line.advice:
        sys.stdout.write(f"{'':<18} -> {printable(line.advice)}\n")
