"""The command line: run everything, compare two results, or fly a fleet."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.fleet import command as fleet


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    fleet.add_arguments(commands.add_parser("fleet", help="a fleet of devices, aimed by you"))
    arguments = parser.parse_args(argv)
    status: int = arguments.run(arguments)
    return status
