"""The form reader: fields first, then the file, then what is behind it."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from gateway.blobs.memory import DEFAULT_MOST_BYTES, MemoryBlobStore
from gateway.filestore import Deposit, Mode
from gateway.model.access import Access, Action, Principal, PrincipalKind
from gateway.model.errors import (
    DigestMismatch,
    Forbidden,
    GatewayError,
    Malformed,
    TooLarge,
    TooMany,
)
from gateway.model.file import Draft, Scope
from gateway.traffic.limits import ConcurrencyLimit
from gateway.web.errors import MissingField
from gateway.web.uploads.context import UPLOADS, Limits, Uploads
from gateway.web.uploads.form import TAP_BYTES, FormLimits, open_form
from tests.tools.forms import FILE, NAMED, BodyStream, form, part, pieces, request_of
from tests.tools.received import SCOPE

CONTENT = b"firmware"
KEY, POLICY = part(NAMED.format("key"), b"k"), part(NAMED.format("policy"), b"yes")
META = part(NAMED.format("meta"), b'{"own":7}')
IMAGE = part(FILE, CONTENT)
LIMITS = FormLimits(file_bytes=8, fields_bytes=40, field_bytes=10, parts=3)


class House:
    """A blob store, and requests for forms that are to be stored in it."""

    def __init__(self, *, at_once: int = 2) -> None:
        self.store = MemoryBlobStore()
        self.app = web.Application()
        self.limits = Limits(2**20, stall_seconds=60, min_upload_bytes_per_second=1)
        self.places = ConcurrencyLimit(at_once)
        self.app[UPLOADS] = Uploads(self.store, self.limits, self.places)

    def request(self, *chunks: bytes, headers: dict[str, str] | None = None) -> web.Request:
        stream = BodyStream()
        stream.feed(chunks)
        return request_of(stream, app=self.app, headers=headers)

    async def is_empty(self) -> bool:
        """Whether nothing is kept, and nothing is spoken for."""
        blobs = [blob async for blob in self.store.walk()]
        taken = self.places._limit - self.places._free
        return not blobs and not taken and self.store._room._left == DEFAULT_MOST_BYTES


@pytest.fixture
def house() -> House:
    return House()


async def test_the_fields_come_first_then_the_file_then_the_rest(house: House) -> None:
    async with open_form(house.request(form(KEY, IMAGE, META)), LIMITS) as reader:
        assert {} == reader.fields
        assert {"key": "k"} == await reader.read_fields()
        assert reader.file_part is not None
        assert "f" == reader.file_part.filename
        upload = await reader.read_file(SCOPE)
        assert {"key": "k", "meta": '{"own":7}'} == reader.fields
        assert 8 == upload.writer.size
        blob = await upload.writer.seal()
    assert SCOPE == blob.scope
    assert hashlib.sha256(CONTENT).hexdigest() == blob.digest.hex


async def test_what_is_asked_for_twice_is_read_once(house: House) -> None:
    async with open_form(house.request(form(KEY, IMAGE)), LIMITS) as reader:
        assert await reader.read_fields() == await reader.read_fields()
        await reader.read_file(SCOPE)
        assert {"key": "k"} == await reader.read_fields()


@pytest.mark.parametrize(
    ("expected", "body"),
    [
        pytest.param({"key": "k", "meta": '{"own":7}'}, form(KEY, META), id="no file"),
        pytest.param({}, form(IMAGE, KEY), id="the file before the fields"),
        pytest.param({}, form(IMAGE), id="only a file"),
    ],
)
async def test_the_fields_before_the_file(
    house: House, expected: dict[str, str], body: bytes
) -> None:
    async with open_form(house.request(body), LIMITS) as reader:
        assert expected == await reader.read_fields()
        assert (b"firmware" in body) == (reader.file_part is not None)


async def test_a_form_without_its_file_misses_that_part(house: House) -> None:
    with pytest.raises(MissingField, match="missing part: privateFile"):
        async with open_form(house.request(form(KEY)), file_field="privateFile") as reader:
            await reader.read_file(SCOPE)


async def test_a_file_may_be_a_part_of_any_name(house: House) -> None:
    body = form(KEY, part(FILE.replace('"file"', '"privateFile"'), CONTENT))
    async with open_form(house.request(body), file_field="privateFile") as reader:
        upload = await reader.read_file(SCOPE)
        assert (8, {"key": "k"}) == (upload.writer.size, reader.fields)


async def test_a_credential_in_a_field_is_judged_before_a_byte_of_the_file(house: House) -> None:
    """The file is larger than what is read ahead, and none of it was staged or asked for."""
    stages = list[str]()
    begin = house.store.stage

    def stage(*args: Any, **kwargs: Any) -> Any:
        stages.append("staged")
        return begin(*args, **kwargs)

    house.store.stage = stage  # type: ignore[method-assign]
    stream = BodyStream()
    start = form(KEY, IMAGE)[: -len(b"\r\n--b-0--\r\n")]
    stream.feed([start, *[b"x" * 10_000] * 10, form()[2:]])
    request = request_of(stream, app=house.app)
    async with open_form(request, credential_in_fields=True) as reader:
        assert {"key": "k"} == await reader.read_fields()
    assert [] == stages
    assert 10 <= stream.chunks_left()
    assert await house.is_empty()


async def test_an_upload_takes_its_place_once_its_file_is_asked_for_if_a_field_has_the_credential() -> (
    None
):
    house = House(at_once=0)
    async with open_form(
        house.request(form(KEY, IMAGE)), LIMITS, credential_in_fields=True
    ) as reader:
        await reader.read_fields()
        with pytest.raises(TooMany):
            await reader.read_file(SCOPE)


async def test_an_upload_takes_its_place_before_its_body_is_asked_for_if_a_header_has_it() -> None:
    house = House(at_once=0)
    with pytest.raises(TooMany):
        async with open_form(house.request(form(KEY, IMAGE)), LIMITS):
            pytest.fail("there is no place")


async def test_100_continue_is_sent_once_when_something_is_first_asked_for(house: House) -> None:
    stream = BodyStream()
    stream.feed([form(KEY, IMAGE, META)])
    request = request_of(stream, app=house.app, headers={"Expect": "100-continue"}, is_over=False)
    assert request.transport is not None
    said = list[bytes]()
    request.transport.write = said.append  # type: ignore[method-assign,assignment]
    async with open_form(request, credential_in_fields=True) as reader:
        assert [] == said
        await reader.read_fields()
        assert [b"HTTP/1.1 100 Continue\r\n\r\n"] == said
        await reader.read_file(SCOPE, tap=lambda _: stream.feed_eof())
    assert 1 == len(said)


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(META + IMAGE, id="another file"),
        pytest.param(part("X: \xff", b""), id="what is no part"),
        pytest.param(b"\r\n--b-0--" + b"x" * 9000, id="a long epilogue"),
    ],
)
async def test_what_is_behind_the_last_file_is_ignored_if_so_told(
    house: House, behind: bytes, *, last: bool
) -> None:
    request = house.request(form(KEY, IMAGE, behind))
    async with open_form(request, LIMITS, file_is_last=last) as reader:
        if not last:
            with pytest.raises((Malformed, TooLarge)):
                await reader.read_file(SCOPE)
            return
        upload = await reader.read_file(SCOPE)
        assert (8, {"key": "k"}) == (upload.writer.size, reader.fields)
    assert request.content.at_eof()


async def test_a_file_that_is_last_must_still_be_whole(house: House) -> None:
    with pytest.raises(Malformed):
        async with open_form(
            house.request(form(KEY, IMAGE)[:-6]), LIMITS, file_is_last=True
        ) as reader:
            await reader.read_file(SCOPE)
    assert await house.is_empty()


def fields(count: int, size: int) -> bytes:
    return b"".join(part(NAMED.format(n), b"x" * size) for n in range(count))


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        pytest.param(part(FILE, b"x" * 8), part(FILE, b"x" * 9), id="bytes of the file"),
        pytest.param(fields(1, 10), fields(1, 11), id="bytes of a field"),
        pytest.param(
            part(NAMED.format("a" * 30), b"x" * 10),
            part(NAMED.format("a" * 31), b"x" * 10),
            id="bytes of all fields, names included",
        ),
        pytest.param(
            part(NAMED.format("a" * 20), b"x" * 5) + part(NAMED.format("b" * 10), b"x" * 5),
            part(NAMED.format("a" * 20), b"x" * 5) + part(NAMED.format("b" * 10), b"x" * 6),
            id="bytes of all fields together",
        ),
        pytest.param(fields(3, 0), fields(4, 0), id="parts"),
        pytest.param(
            part(FILE + "\r\nContent-Length: 8", CONTENT),
            part(FILE + "\r\nContent-Length: 9", CONTENT),
            id="bytes that the file declares",
        ),
    ],
)
async def test_a_route_has_limits_of_its_own(house: House, within: bytes, beyond: bytes) -> None:
    async def read(*parts: bytes) -> None:
        async with open_form(house.request(form(*parts)), LIMITS) as reader:
            await reader.read_fields()
            if reader.file_part:
                await reader.read_file(SCOPE)

    await read(within)
    with pytest.raises(TooLarge):
        await read(beyond)
    assert await house.is_empty()


async def test_a_form_that_says_it_is_larger_is_refused_unread(house: House) -> None:
    too_long = {"Content-Length": str(LIMITS.body_bytes + 1)}
    with pytest.raises(
        TooLarge, match=r"the file is larger than 8 bytes \(GATEWAY_MAX_FILE_BYTES\)"
    ):
        async with open_form(house.request(form(IMAGE), headers=too_long), LIMITS):
            pytest.fail("it is too large")


@pytest.mark.parametrize(("limit", "taken"), [(8, True), (7, False), (100, True)])
async def test_a_file_may_have_a_limit_of_its_own(house: House, limit: int, *, taken: bool) -> None:
    """A lower one than its form's; as a policy says that is among the fields."""
    async with open_form(house.request(form(KEY, IMAGE)), LIMITS) as reader:
        if taken:
            await reader.read_file(SCOPE, limit_bytes=limit)
        else:
            with pytest.raises(TooLarge):
                await reader.read_file(SCOPE, limit_bytes=limit)
    assert await house.is_empty()


@pytest.mark.parametrize("size", [0, 1, TAP_BYTES - 1, TAP_BYTES, TAP_BYTES + 1, 5000])
@pytest.mark.parametrize("piece", [1, 7, 512, 10_000])
async def test_a_tap_sees_the_first_bytes_however_they_come(
    house: House, size: int, piece: int
) -> None:
    content = bytes(n % 251 for n in range(size))
    body = form(KEY, part(FILE, content), META)
    chunks = [body[start : start + piece] for start in range(0, len(body), piece)]
    seen = list[bytes]()
    async with open_form(house.request(*chunks)) as reader:
        await reader.read_file(SCOPE, tap=seen.append)
    assert [content[:TAP_BYTES]] == seen


@pytest.mark.parametrize("size", [0, 10, 100_000])
async def test_a_tap_may_refuse_the_file(house: House, size: int) -> None:
    def refuse(_: bytes) -> None:
        raise Forbidden("no pictures")

    with pytest.raises(Forbidden, match="no pictures"):
        async with open_form(house.request(form(part(FILE, b"x" * size), KEY))) as reader:
            await reader.read_file(SCOPE, tap=refuse)
    assert await house.is_empty()


def digest_of(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


SHA256 = hashlib.sha256(CONTENT).hexdigest().encode()
WRONG = b"0" * 64


@pytest.mark.parametrize(
    ("right", "body", "of_form"),
    [
        pytest.param(True, form(part(FILE + f"\r\nRepr-Digest: {digest_of(CONTENT)}", CONTENT)), None, id="part"),
        pytest.param(False, form(part(FILE + f"\r\nRepr-Digest: {digest_of(b'')}", CONTENT)), None, id="part, wrong"),
        pytest.param(True, form(part(NAMED.format("sha256"), SHA256), IMAGE), None, id="field before"),
        pytest.param(False, form(part(NAMED.format("sha256"), WRONG), IMAGE), None, id="field before, wrong"),
        pytest.param(True, form(IMAGE, part(NAMED.format("sha256"), SHA256)), None, id="field behind"),
        pytest.param(False, form(IMAGE, part(NAMED.format("sha256"), WRONG)), None, id="field behind, wrong"),
        pytest.param(True, form(IMAGE, KEY), form(IMAGE, KEY), id="request"),
        pytest.param(False, form(IMAGE, KEY), form(IMAGE), id="request, wrong"),
    ],
)  # fmt: skip
async def test_all_that_was_promised_is_checked_in_one_place(
    house: House, body: bytes, of_form: bytes | None, *, right: bool
) -> None:
    headers = {} if of_form is None else {"Content-Digest": digest_of(of_form)}
    for cut in range(1, len(body), 11):
        request = house.request(*pieces(body, [cut]), headers=headers)
        async with open_form(request) as reader:
            upload = await reader.read_file(SCOPE)
            computed = await upload.writer.measure()
            if right:
                upload.claims.check(computed)
            else:
                with pytest.raises(DigestMismatch):
                    upload.claims.check(computed)


async def test_a_form_that_ends_at_any_byte_leaves_nothing(house: House) -> None:
    body = form(KEY, IMAGE, META)
    whole = len(body) - len(b"\r\n")
    for end in range(whole):
        with pytest.raises(Malformed):
            async with open_form(house.request(body[:end]), LIMITS) as reader:
                await reader.read_file(SCOPE)
        assert await house.is_empty()


FAULTS: dict[str, Callable[[], tuple[bytes, type[GatewayError]]]] = {
    "two files": lambda: (form(IMAGE, IMAGE), Malformed),
    "a field twice": lambda: (form(IMAGE, KEY, KEY), Malformed),
    "a field that is not UTF-8": lambda: (form(IMAGE, part(NAMED.format("a"), b"\xff")), Malformed),
    "a digest that is none": lambda: (
        form(IMAGE, part(NAMED.format("sha256"), b"abc")),
        Malformed,
    ),
    "a field that is too large": lambda: (form(IMAGE, fields(1, 11)), TooLarge),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_behind_the_file_leaves_nothing_wherever_it_is_cut(
    house: House, fault: str
) -> None:
    body, error = FAULTS[fault]()
    for cut in itertools.chain(range(1, len(body), 5), [len(body) - 1]):
        with pytest.raises(error):
            async with open_form(house.request(*pieces(body, [cut])), LIMITS) as reader:
                await reader.read_file(SCOPE)
        assert await house.is_empty()


def test_a_right_in_one_scope_is_none_in_another() -> None:
    """What a deposit says twice is one, whoever makes it."""
    thing = Principal(PrincipalKind.THING, "t1", "thing")
    access = Access(thing, Action.CREATE, "mainflux", SCOPE)
    Deposit(access, Draft(SCOPE, "f", "a/b"), Mode.CREATE)
    with pytest.raises(ValueError, match="a right in one scope"):
        Deposit(access, Draft(Scope("things", "t2"), "f", "a/b"), Mode.CREATE)
