"""``filestore-gateway fleet``, in a thread of the process whose loop has the server."""

from __future__ import annotations

import asyncio

from gateway.__main__ import command_line, run
from gateway.dialects import DIALECTS


async def flown(*arguments: str) -> int:
    """Its exit status; what it says goes to stdout and stderr."""
    return await asyncio.to_thread(run, command_line().parse_args(["fleet", *arguments]), DIALECTS)
