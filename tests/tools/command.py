"""A command in this process, as the command line runs it: a new interpreter costs a second each time."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from unittest import mock

from gateway.__main__ import command_line, run
from gateway.dialects import DIALECTS

_ONE_AT_A_TIME = threading.Lock()


async def run_inside(
    environment: Mapping[str, str], *argv: str, stdin: str = ""
) -> tuple[int, str]:
    """Its exit status and its stdout. One at a time: the environment is the process's."""
    return await asyncio.to_thread(_run, environment, argv, stdin)


def _run(environment: Mapping[str, str], argv: tuple[str, ...], stdin: str) -> tuple[int, str]:
    arguments = command_line().parse_args(argv)
    with (
        _ONE_AT_A_TIME,
        _logging_as_before(),
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        contextlib.redirect_stdout(io.StringIO()) as said,
    ):
        return run(arguments, DIALECTS), said.getvalue()


@contextlib.contextmanager
def _logging_as_before() -> Iterator[None]:
    """A command sets up its log, which is the process's."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
