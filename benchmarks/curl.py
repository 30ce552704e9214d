"""curl: one transfer at a time, as anybody would type it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.bench import CannotRun
from benchmarks.children import output_of, shown

_WRITE_OUT: Final = (
    '{"status":%{http_code},"seconds":%{time_total},"first":%{time_starttransfer},'
    '"down":%{size_download},"up":%{size_upload}}'
)
_TIMEOUT: Final = 300


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer: bytes of file content, seconds, seconds to the first byte."""

    size: int
    seconds: float
    first_byte: float
    command: str

    @property
    def rate(self) -> float:
        """Bytes per second."""
        return self.size / self.seconds


def download(url: str, headers: Mapping[str, str], size: int) -> Transfer:
    """GET the whole of a file. Raises ``CannotRun`` unless all of it comes with 200."""
    command = [*_curl(headers), url]
    said = json.loads(output_of(command, timeout=_TIMEOUT))
    _check(said["status"] == 200 and said["down"] == size, command, said)
    return Transfer(size, said["seconds"], said["first"], shown(command))


def put(
    url: str, path: Path, headers: Mapping[str, str] | None = None, *, method: str = "PUT"
) -> Transfer:
    """A file as a raw body. Raises ``CannotRun`` unless it is taken."""
    return _upload([*_curl(headers or {}), "--request", method, "--upload-file", str(path)], url)


def post_form(url: str, path: Path, name: str, headers: Mapping[str, str]) -> Transfer:
    """A file as the part ``file`` of a form. Raises ``CannotRun`` unless it is taken."""
    return _upload(form_command(url, path, name, headers)[:-1], url)


def post_forms(commands: Sequence[Sequence[str]]) -> None:
    """Several forms at once. Raises ``CannotRun`` unless all are taken."""
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for command in commands
    ]
    outputs = [process.communicate(timeout=_TIMEOUT)[0] for process in running]
    for command, output in zip(commands, outputs, strict=True):
        said = json.loads(output)
        _check(said["status"] in {200, 201}, command, said)


def form_command(url: str, path: Path, name: str, headers: Mapping[str, str]) -> list[str]:
    """The command that posts a form."""
    return [*_curl(headers), "--form", f"file=@{path};filename={name}", url]


def _upload(options: list[str], url: str) -> Transfer:
    command = [*options, url]
    said = json.loads(output_of(command, timeout=_TIMEOUT))
    _check(said["status"] in {200, 201, 204}, command, said)
    return Transfer(said["up"], said["seconds"], said["first"], shown(command))


def _curl(headers: Mapping[str, str]) -> list[str]:
    if shutil.which("curl") is None:
        raise CannotRun("curl is missing: apt install curl")
    # Not every peer answers 100-continue, and curl would wait a second for it.
    lines = ["Expect:", *(f"{name}: {value}" for name, value in headers.items())]
    fields = [part for line in lines for part in ("--header", line)]
    quiet = ("--silent", "--show-error", "--output", "/dev/null", "--write-out", _WRITE_OUT)
    return ["curl", *quiet, *fields]


def _check(holds: bool, command: Sequence[str], said: object) -> None:
    if not holds:
        raise CannotRun(f"{command[-1]} does not take or give it: {json.dumps(said)}")
