"""One attack in a process of its own: ``python -m tests.attack.hostile NAME``, with the target on stdin.

It ends when stdin does, and says what it was told. It gives way to whom it attacks: an attacker has a machine of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import sys

from tests.attack.attacks import ATTACKS
from tests.attack.target import Attacker, Target


async def main(name: str) -> None:
    """Attack until stdin ends."""
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    attacker = Attacker(Target(**json.loads(await stdin.readline())))
    attack = asyncio.ensure_future(ATTACKS[name].run(attacker))
    over = asyncio.ensure_future(stdin.read())
    print(flush=True)  # it has begun
    await asyncio.wait({attack, over}, return_when=asyncio.FIRST_COMPLETED)
    failure = attack.exception() if attack.done() else None
    attack.cancel()
    with contextlib.suppress(BaseException):
        await attack
    print(json.dumps({"seen": dict(attacker.seen), "failed": repr(failure) if failure else None}))
    sys.stdout.flush()
    os._exit(0)  # ten thousand connections end with the process


LAST = 19


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, LAST)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(sys.argv[1]))
