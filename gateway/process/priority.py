"""Who goes first where there are fewer processors than work.

Knows Linux' niceness, which each thread has for itself, and that of whole sessions, which counts
where no service manager shares the processors out. Does not know what the work is.

Rule: only what works without the interpreter's lock gives way; whoever has the lock and no
processor would keep the event loop from both.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import Final

_NICER: Final = 10
_BEHIND: Final = 5


def give_way() -> None:
    """This thread leaves the processors to the process's others from now on, where it may."""
    with contextlib.suppress(OSError, AttributeError):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICER)


def put_behind(pid: int, name: str) -> None:
    """That process of this machine, if it is called so, leaves the processors to us.

    Where it may be said; it stays as it is elsewhere.
    """
    with contextlib.suppress(OSError):
        process = Path(f"/proc/{pid}")
        if (process / "comm").read_text(encoding="ascii").strip() != name:
            return
        os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + _BEHIND)
        # It has a session of its own, by which Linux shares a desktop's processors out.
        (process / "autogroup").write_text(str(_BEHIND), encoding="ascii")
