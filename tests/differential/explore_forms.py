"""Random forms, cut at random: the parts that were written are read, in whatever pieces.

``python -m tests.differential.explore_forms --cuts 10000000 --seed 1 --result FILE`` tries so many
cuttings in several processes, goes on where it was stopped, and ends at the first form that is
not understood alike, which it prints as pieces that can be pasted into a test. ``--seconds``
bounds its time, as ``make explore`` does.

Knows what it wrote, and so what must be read; asks no other parser.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gateway.web.uploads.multipart import FramingLimits
from tests.tools.forms import BodyStream, Headers, Parsed, parsed, pieces, request_of
from tests.tools.received import received

BATCH = 20_000
CUTTINGS_OF_A_FORM = 40
READ_EVERY = 40
"""Every so many cuttings go through the form reader, too, which is the slower way."""

LIMITS = FramingLimits(parts=12, part_headers=8, part_header_bytes=400, outside_bytes=200)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_IN_BOUNDARIES = _LETTERS + "-----'()+_,./:=?"


@dataclass(frozen=True, slots=True)
class Written:
    """A form, and what it says; ``expected`` is ``None`` if it was broken on purpose."""

    boundary: str
    body: bytes
    expected: Parsed | None

    @property
    def delimiter(self) -> bytes:
        """What its parts are cut by."""
        return b"\r\n--" + self.boundary.encode()


@dataclass(frozen=True, slots=True)
class Difference:
    """A form that was understood differently."""

    boundary: str
    pieces: list[bytes]
    expected: str
    found: str

    def __str__(self) -> str:
        lines = "\n".join(f"    {piece!r}," for piece in self.pieces)
        return (
            f"boundary {self.boundary!r}, pieces\n{lines}\n"
            f"expected\n    {self.expected}\nfound\n    {self.found}"
        )


class Writer:
    """Writes forms."""

    def __init__(self, pick: random.Random) -> None:
        self._pick = pick
        length = pick.choice((1, 2, 3, 8, 16, 27, 70))
        self.boundary = "".join(pick.choices(_IN_BOUNDARIES, k=length - 1)) + pick.choice(_LETTERS)
        self._delimiter = f"\r\n--{self.boundary}".encode()

    def form(self) -> Written:
        """A form; one in eight is broken somewhere."""
        parts, body = list[tuple[Headers, bytes]](), self._outside()
        for n in range(self._pick.choice((0, 1, 1, 2, 3, 5))):
            headers, lines = self._headers(n)
            content = self._content()
            parts.append((headers, content))
            body += self._delimiter + self._padding() + b"\r\n" + lines + b"\r\n" + content
        body += self._delimiter + b"--" + self._pick.choice((b"", b"\r\n", self._outside()))
        body = body.removeprefix(b"\r\n") if self._pick.random() < 0.8 else body
        if self._pick.random() < 1 / 8:
            return Written(self.boundary, self._broken(body), None)
        return Written(self.boundary, body, Parsed(tuple(parts)))

    def _headers(self, number: int) -> tuple[Headers, bytes]:
        name = "file" if self._pick.random() < 0.3 else f"n{number}"
        headers = [("Content-Disposition", f'form-data; name="{name}"')]
        if self._pick.random() < 0.4:
            headers.append(("Content-Type", self._pick.choice(("text/plain", "a/b"))))
        if self._pick.random() < 0.2:
            text = "".join(self._pick.choices(_LETTERS + '-=;" ', k=20))
            # A fold with all its white space is one space (RFC 9112 5.2): two would not come back.
            headers.append(("X-Any", " ".join(text.split())))
        self._pick.shuffle(headers)
        space = self._pick.choice(("", " ", " ", "\t "))
        fold = self._pick.choice((" ", " ", "\r\n\t", "\r\n   "))
        end = self._pick.choice(("", "", " ", "\t"))
        lines = "".join(f"{n}:{space}{v.replace('; ', ';' + fold)}{end}\r\n" for n, v in headers)
        return tuple((n.lower(), v) for n, v in headers), lines.encode()

    def _content(self) -> bytes:
        """Scraps of the delimiter, among other things, but no delimiter."""
        while True:
            content = b"".join(self._scrap() for _ in range(self._pick.choice((0, 1, 3, 8))))
            if self._delimiter not in b"\r\n" + content + self._delimiter[:-1]:
                return content

    def _scrap(self) -> bytes:
        pick, size = self._pick, len(self._delimiter)
        match pick.randrange(6):
            case 0:
                return self._delimiter[: pick.randrange(1, size)]
            case 1:
                return self._delimiter[pick.randrange(1, size) :]
            case 2:
                return pick.choice((b"\r", b"\n", b"\r\n", b"-", b"--", b"\r\r\n"))
            case 3:
                return pick.randbytes(pick.randrange(1, 60))
            case 4:
                return b'\r\nContent-Disposition: form-data; name="x"\r\n\r\n'
            case _:
                return b"firmware"

    def _outside(self) -> bytes:
        return self._content()[:100] if self._pick.random() < 0.2 else b""

    def _padding(self) -> bytes:
        return self._pick.choice((b"", b"", b"", b" ", b"\t \t"))

    def _broken(self, body: bytes) -> bytes:
        at = self._pick.randrange(len(body))
        match self._pick.randrange(4):
            case 0:
                return body[:at]
            case 1:
                return body[:at] + body[at + 1 :]
            case 2:
                return (
                    body[:at] + self._pick.choice((b"\r", b"\n", b"-", b"\xff", b" ")) + body[at:]
                )
            case _:
                return body[:at] + self._scrap() + body[at:]


def cutting(written: Written, pick: random.Random) -> list[int]:
    """Places to cut a form at: around its delimiters, all alike, or anywhere."""
    size = len(written.body)
    match pick.randrange(4):
        case 0:
            step = pick.choice((1, 2, 3, 5, 7, 16, 64))
            return list(range(pick.randrange(1, step + 1), size, step))
        case 1:
            return [pick.randrange(size + 1) for _ in range(pick.choice((1, 2, 5, 20)))]
        case _:
            return [
                _around_delimiter(written, pick) for _ in range(pick.choice((1, 2, 2, 3, 3, 6)))
            ]


def _around_delimiter(written: Written, pick: random.Random) -> int:
    bare = written.delimiter[2:]
    at = written.body.find(bare, pick.randrange(len(written.body) + 1))
    if at < 0:
        at = written.body.rfind(bare)
    place = max(at, 0) + pick.choice((0, len(bare))) + pick.randrange(-4, 6)
    return min(max(place, 0), len(written.body))


def explore(seed: str, cuttings: int) -> Difference | None:
    """The first difference among so many cuttings, all of which the seed determines."""
    pick, done = random.Random(seed), 0
    while done < cuttings:
        written = Writer(pick).form()
        found = _explore_form(written, pick, min(CUTTINGS_OF_A_FORM, cuttings - done))
        if found is not None:
            return found
        done += CUTTINGS_OF_A_FORM
    return None


def _explore_form(written: Written, pick: random.Random, cuttings: int) -> Difference | None:
    whole = parsed([written.body], written.boundary, LIMITS)
    if (
        written.expected is not None
        and not whole.fault.endswith("of the form")
        and whole != written.expected
    ):
        return _difference(written, [written.body], written.expected, whole)
    for n in range(cuttings):
        cut = pieces(written.body, cutting(written, pick))
        found = parsed(cut, written.boundary, LIMITS)
        if found != whole:
            return _difference(written, cut, whole, found)
        if n % READ_EVERY == 0:
            once, again = asyncio.run(_read(written, cut))
            if once != again:
                return _difference(written, cut, once, again)
    return None


async def _read(written: Written, cut: Sequence[bytes]) -> list[object]:
    """What the form reader makes of a form in one piece, and cut."""
    results = list[object]()
    for chunks in ([written.body], cut):
        stream = BodyStream()
        stream.feed(chunks)
        results.append(await received(request_of(stream, boundary=written.boundary)))
    return results


def _difference(written: Written, cut: list[bytes], expected: object, found: object) -> Difference:
    return Difference(written.boundary, cut, repr(expected), repr(found))


@dataclass(slots=True)
class Progress:
    """What was tried so far, as it is kept in a file."""

    seed: int
    cuttings: int
    batches: list[int] = field(default_factory=list)
    seconds: float = 0.0
    difference: str = ""

    @property
    def tried(self) -> int:
        """How many cuttings were tried."""
        return len(self.batches) * BATCH

    @property
    def left(self) -> list[int]:
        """Batches that were not tried yet."""
        return sorted(set(range(-(-self.cuttings // BATCH))) - set(self.batches))

    def keep(self, file: Path) -> None:
        """Write it, whole or not at all."""
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        text = json.dumps({"tried": self.tried} | asdict(self))
        draft.write_text(text + "\n", encoding="utf-8")
        draft.replace(file)


def kept(file: Path | None, seed: int, cuttings: int) -> Progress:
    """Such a run, as far as the file says that it has come."""
    if file is not None and file.exists():
        found = json.loads(file.read_text(encoding="utf-8"))
        found.pop("tried")
        if (found["seed"], found["cuttings"]) == (seed, cuttings):
            return Progress(**found)
    return Progress(seed, cuttings)


def _batch(task: tuple[int, int]) -> tuple[int, Difference | None]:
    seed, number = task
    return number, explore(f"{seed}/{number}", BATCH)


def run(progress: Progress, *, processes: int, seconds: float, file: Path | None) -> None:
    """Try what is left of it, until a difference is found or the time is over."""
    began, before = time.monotonic(), progress.seconds
    tasks = [(progress.seed, number) for number in progress.left]
    with multiprocessing.Pool(processes) as pool:
        for number, difference in pool.imap_unordered(_batch, tasks):
            progress.seconds = round(before + time.monotonic() - began, 1)
            progress.difference = "" if difference is None else str(difference)
            if difference is None:
                progress.batches.append(number)
            if file is not None:
                progress.keep(file)
            if difference is not None or time.monotonic() - began > seconds:
                return


def main(arguments: Sequence[str] | None = None) -> int:
    """Explore; 1 if there was a difference."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential.explore_forms")
    parser.add_argument("--cuts", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--result", type=Path, help="where to keep what was done, and go on from")
    given = parser.parse_args(arguments)
    progress = kept(given.result, given.seed, given.cuts)
    run(progress, processes=given.processes, seconds=given.seconds, file=given.result)
    if progress.difference:
        print(progress.difference)
    done = {"cuttings": progress.tried, "differences": int(bool(progress.difference))}
    print(json.dumps(done | {"seconds": progress.seconds}))
    return done["differences"]


if __name__ == "__main__":
    sys.exit(main())
