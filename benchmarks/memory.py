"""Promise P5 in numbers: ``python -m benchmarks.memory [--result FILE]``.

Starts the real service, sends and fetches files of very different sizes, one and sixteen at
once, and looks at the gateway's process (PostgreSQL is another one) every 50 ms. Prints how far
it grew over its idle baseline as JSON; exits with 1 if a case grew by the limit or more.

Some 19 MiB of the idle baseline is heap that the start-up has freed and the C library keeps;
transfers use that first, so the growth is small. What they need in all shows with
``MALLOC_TRIM_THRESHOLD_=65536`` in the environment, which makes the library give it back: about
1 MiB for each upload at once, so that sixteen of them are at the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from tests.tools.gateway import GatewayProcess, running_gateway
from tests.tools.mainflux import Thing, signed_in
from tests.tools.ports import HOST

MIB: Final = 1024 * 1024
LIMIT_MIB: Final = 16.0
SAMPLE_SECONDS: Final = 0.05
_PIECE: Final = 1 << 18
_BOUNDARY: Final = "frontier"


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process has in memory, in MiB."""

    rss: float
    pss: float


@dataclass(frozen=True, slots=True)
class Case:
    """One measured transfer, or several at once: growth in MiB over the idle baseline."""

    name: str
    files: int
    mebibytes_each: int
    seconds: float
    peak_rss_growth: float
    peak_pss_growth: float
    high_water_growth: float


class Sampler:
    """Looks at one process until told to stop; remembers the most it saw."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.rss = self.pss = 0.0

    def __enter__(self) -> Self:
        # Forgets the high-water mark, so that it is the one of this case.
        Path(f"/proc/{self._pid}/clear_refs").write_text("5")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.high_water = _field(f"/proc/{self._pid}/status", "VmHWM")

    def _look(self) -> None:
        while True:
            now = memory_of(self._pid)
            self.rss, self.pss = max(self.rss, now.rss), max(self.pss, now.pss)
            if self._stop.wait(SAMPLE_SECONDS):
                return


def memory_of(pid: int) -> Memory:
    """What the process has in memory now."""
    rollup = f"/proc/{pid}/smaps_rollup"
    return Memory(_field(rollup, "Rss"), _field(rollup, "Pss"))


def _field(path: str, name: str) -> float:
    for line in Path(path).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


def upload(port: int, thing: Thing, name: str, path: Path) -> None:
    """The file as one multipart part, from the page cache to the socket."""
    size = path.stat().st_size
    before = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    after = f"\r\n--{_BOUNDARY}--\r\n".encode()
    head = (
        f"POST /files HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Thing {thing.key}\r\n"
        f"Content-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
        f"Content-Length: {len(before) + size + len(after)}\r\nConnection: close\r\n\r\n"
    ).encode()
    with socket.create_connection((HOST, port)) as connection, path.open("rb") as file:
        connection.sendall(head + before)
        connection.sendfile(file)
        connection.sendall(after)
        _expect(connection.recv(1 << 16), b"201", name)


def download(port: int, thing: Thing, name: str, size: int) -> None:
    """The whole file, thrown away as it comes."""
    head = (
        f"GET /files/{name} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Thing {thing.key}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    buffer = bytearray(_PIECE)
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(head)
        start = connection.recv_into(buffer)
        _expect(bytes(buffer[:start]), b"200", name)
        received = start - (buffer.find(b"\r\n\r\n", 0, start) + 4)
        while count := connection.recv_into(buffer):
            received += count
    if received != size:
        raise RuntimeError(f"{name}: {received} of {size} bytes")


def _expect(answer: bytes, status: bytes, name: str) -> None:
    if answer[9:12] != status:
        raise RuntimeError(f"{name}: {answer[:200]!r}")


def measure(
    pid: int, idle: Memory, name: str, files: int, size: int, work: Callable[[int], None]
) -> Case:
    """``work`` for each of ``files`` at once, and how the process grew meanwhile."""
    started = time.perf_counter()
    with Sampler(pid) as seen, ThreadPoolExecutor(files) as clients:
        for _ in clients.map(work, range(files)):
            pass
    return Case(
        name,
        files,
        size // MIB,
        round(time.perf_counter() - started, 2),
        round(seen.rss - idle.rss, 2),
        round(seen.pss - idle.pss, 2),
        round(seen.high_water - idle.rss, 2),
    )


def run(
    gateway: GatewayProcess, thing: Thing, folder: Path, shapes: list[tuple[int, int]]
) -> dict[str, object]:
    """Every case, uploads first; each against the baseline from before the first."""
    warm = folder / "warm"
    warm.write_bytes(b"x")
    upload(gateway.port, thing, "warm", warm)
    download(gateway.port, thing, "warm", 1)
    time.sleep(1)
    idle, cases = memory_of(gateway.pid), list[Case]()
    for files, size in shapes:
        source = folder / "source"
        with source.open("wb") as sparse:
            sparse.truncate(size)

        def send(number: int, size: int = size, files: int = files, source: Path = source) -> None:
            upload(gateway.port, thing, f"f{files}-{size}-{number}", source)

        def fetch(number: int, size: int = size, files: int = files) -> None:
            download(gateway.port, thing, f"f{files}-{size}-{number}", size)

        cases.append(measure(gateway.pid, idle, "upload", files, size, send))
        cases.append(measure(gateway.pid, idle, "download", files, size, fetch))
        print(json.dumps([asdict(c) for c in cases[-2:]]), file=sys.stderr)
    return {
        "what": "growth of the gateway's process over its idle baseline, MiB",
        "limit": LIMIT_MIB,
        "idle": {"rss": round(idle.rss, 2), "pss": round(idle.pss, 2)},
        "within": all(case.peak_rss_growth < LIMIT_MIB for case in cases),
        "cases": [asdict(case) for case in cases],
    }


async def _main(shapes: list[tuple[int, int]], folder: Path) -> dict[str, object]:
    async with running_gateway(folder, database_server=None) as gateway:
        async with signed_in(gateway.url) as admin:
            thing = await admin.thing()
        return await asyncio.to_thread(run, gateway, thing, folder, shapes)


def main() -> int:
    """Measure, print, and say whether every case stayed below the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sixteenth of each size")
    parser.add_argument("--result", type=Path, help="where to write the JSON result")
    options = parser.parse_args()
    divisor = 16 if options.quick else 1
    shapes = [(1, 64 * MIB), (1, 5120 * MIB), (16, 256 * MIB)]
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(
            _main([(files, size // divisor) for files, size in shapes], Path(folder))
        )
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if options.result:
        options.result.write_text(text)
    return 0 if result["within"] else 1


if __name__ == "__main__":
    sys.exit(main())
