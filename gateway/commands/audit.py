"""The audit as JSON lines, for whatever gathers the logs of the house."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
from contextlib import aclosing
from datetime import UTC, datetime

import orjson

from gateway.commands.existing import existing_database, existing_stores
from gateway.identity.records.events import AuditEvent
from gateway.wiring import Deployment


def moment(text: str) -> datetime:
    """RFC 3339; without an offset, UTC. Raises ``ArgumentTypeError``."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError("is no time such as 2026-01-31T12:00:00Z") from exc
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _line(event: AuditEvent) -> bytes:
    return orjson.dumps(dataclasses.asdict(event), default=str) + b"\n"


def export(deployment: Deployment, arguments: argparse.Namespace) -> int:
    """All that happened in that time, oldest first, a JSON object a line."""

    async def written(dsn: str) -> None:
        async with existing_stores(deployment, dsn) as stores:
            events = stores.registry.audit.walk(arguments.since, arguments.until)
            async with aclosing(events):
                async for event in events:
                    sys.stdout.buffer.write(_line(event))

    with existing_database(deployment) as dsn:
        asyncio.run(written(dsn))
    sys.stdout.flush()
    return 0
