"""The form upload: as it was given it works, once; anything else is refused, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from gateway.dialects.losant.storage.context import BUCKET
from gateway.identity.secrets import dialect_key
from gateway.web.signing.sigv4 import (
    AccessKey,
    Authority,
    SizeRange,
    Terms,
    access_key,
    make_form,
)
from tests.dialects.losant_storage.conftest import (
    BOUNDARY,
    CONTENT,
    Owner,
    code_of,
    encoded,
    header,
)
from tests.tools.client import Answer
from tests.tools.s3forms import boto3_form, policy_of, signed_by_hand
from tests.tools.waiting import PATIENCE_SECONDS

SECRET, PREVIOUS = "n" * 32, "p" * 32
FormFields = dict[str, str]
File = dict[str, Any]


def key_of(secret: str) -> AccessKey:
    return access_key(dialect_key(secret.encode(), "losant-storage", "forms"))


KEY = key_of(SECRET)
OURS = Authority([KEY], BUCKET)


@pytest.fixture
def settings() -> dict[str, Any]:
    """Keys that the tests know as well."""
    return {
        "losant_signing_secret": SECRET,
        "losant_signing_secret_previous": PREVIOUS,
        "losant_redirects": "https://console.example.com/done",
    }


def left(folder: Path) -> list[str]:
    """Every file that there is of any upload."""
    stored = (p for place in ("blobs", "incoming") for p in (folder / place).rglob("*"))
    return [p.name for p in stored if p.is_file()]


async def test_a_form_works_as_it_was_given(owner: Owner, tmp_path: Path) -> None:
    made = await owner.make()
    assert (made["status"], len(made)) == ("pending", 13)
    assert "url" not in await owner.see(made)
    answer = await owner.post(made["upload"])
    assert (answer.status, answer.text) == (204, "")
    seen = await owner.see(made)
    assert ("completed", len(CONTENT), "text/csv") == tuple(
        seen[name] for name in ("status", "fileSize", "contentType")
    )
    read = await owner.read(seen["url"])
    assert (200, CONTENT.decode()) == (read.status, read.text)
    assert header(answer, "ETag") == header(read, "ETag")
    assert (
        answer.headers["Location"] == f"{made['upload']['url']}/{made['upload']['fields']['key']}"
    )
    assert len(left(tmp_path)) == 1


SPELLINGS: dict[str, Callable[[FormFields], FormFields]] = {
    "without the bucket, as the documents' examples": lambda f: {
        n: v for n, v in f.items() if n != "bucket"
    },
    "in another order": lambda f: dict(reversed(f.items())),
    "in small letters": lambda f: {n.lower(): v for n, v in f.items()},
    "with a field that asks to be ignored": lambda f: {**f, "x-ignore-this": "x"},
    "with a status": lambda f: {**f, "success_action_status": "204"},
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
async def test_a_form_may_be_written_so(
    owner: Owner, spelling: Callable[[FormFields], FormFields]
) -> None:
    made = await owner.make()
    fields = spelling(made["upload"]["fields"])
    assert 204 == (await owner.post_fields(list(fields.items()))).status
    assert "completed" == (await owner.see(made))["status"]


@pytest.mark.parametrize(
    ("status", "wanted"),
    [(200, "200"), (201, "201"), (204, "204"), (204, "302"), (204, "nothing"), (204, "")],
)
async def test_the_form_says_what_it_is_answered_with(
    owner: Owner, status: int, wanted: str
) -> None:
    made = await owner.make()
    fields = made["upload"]["fields"] | {"success_action_status": wanted}
    answer = await owner.post_fields(list(fields.items()))
    location, etag = header(answer, "Location"), header(answer, "ETag")
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>'
        f"<Location>{location}</Location><Bucket>private-files</Bucket>"
        f"<Key>{fields['key']}</Key><ETag>&quot;{etag[1:-1]}&quot;</ETag></PostResponse>"
    )
    assert (status, body if status == 201 else "") == (answer.status, answer.text)


async def test_a_browser_is_sent_on_to_where_the_deployment_allows(owner: Owner) -> None:
    made = await owner.make()
    target = "https://console.example.com/done/here?tab=1"
    fields = list((made["upload"]["fields"] | {"success_action_redirect": target}).items())
    url = f"{owner.client.url}/private-files"
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    async with owner.client.session.post(
        url, data=encoded(fields), headers=headers, allow_redirects=False
    ) as answer:
        location, etag = answer.headers["Location"], answer.headers["ETag"]
        assert answer.status == 303
    assert location.startswith(f"{target}&")
    said = parse_qs(urlsplit(location).query)
    expected = {"tab": "1", "bucket": BUCKET, "key": made["upload"]["fields"]["key"], "etag": etag}
    assert {name: [value] for name, value in expected.items()} == said


@pytest.mark.parametrize(
    ("code", "target"),
    [
        pytest.param("AccessDenied", "https://evil.example/done/", id="another host"),
        pytest.param("AccessDenied", "https://console.example.com/doneer", id="another path"),
        pytest.param("AccessDenied", "https://console.example.com/", id="above"),
        pytest.param(
            "AccessDenied",
            "https://console.example.com/done@evil.example/",
            id="another host behind",
        ),
        pytest.param(
            "InvalidArgument", "https://console.example.com/done/\r\nX: y", id="two lines"
        ),
        pytest.param("InvalidArgument", "https://console.example.com/done/#x", id="a fragment"),
    ],
)
async def test_a_browser_is_sent_nowhere_else(
    owner: Owner, tmp_path: Path, code: str, target: str
) -> None:
    made = await owner.make()
    fields = made["upload"]["fields"] | {"success_action_redirect": target}
    answer = await owner.post_fields(list(fields.items()))
    await refused(owner, made, answer, code, tmp_path)


async def test_what_is_behind_the_file_is_ignored(owner: Owner) -> None:
    made = await owner.make()
    behind = [("key", "other"), ("acl", "public-read"), ("x", "y" * 30_000), ("file", "other")]
    assert 204 == (await owner.post(made["upload"], after=behind)).status
    assert "completed" == (await owner.see(made))["status"]


async def refused(
    owner: Owner, file: File, answer: Answer, code: str, folder: Path, status: int | None = None
) -> None:
    """In S3's form, and nothing has come of it."""
    assert code == code_of(answer)
    assert status is None or status == answer.status
    assert "pending" == (await owner.see(file))["status"]
    assert [] == left(folder)


async def test_the_file_has_exactly_the_size_that_was_declared(
    owner: Owner, tmp_path: Path
) -> None:
    made = await owner.make()
    answer = await owner.post(made["upload"], CONTENT + b"x")
    await refused(owner, made, answer, "EntityTooLarge", tmp_path, 400)
    answer = await owner.post(made["upload"], CONTENT[:-1])
    await refused(owner, made, answer, "EntityTooSmall", tmp_path, 400)
    await owner.complete(made)


async def test_a_file_without_a_declared_size_may_have_any(owner: Owner) -> None:
    for number, content in enumerate((b"", b"x" * 100_000)):
        made = await owner.make(f"{number}", fileSize=None)
        seen = await owner.complete(made, content)
        assert len(content) == seen["fileSize"]


BODIES: dict[str, tuple[str, bytes, str]] = {
    "no form at all": ("MalformedPOSTRequest", b"{}", "application/json"),
    "a form of another kind": ("MalformedPOSTRequest", b"a=b", "application/x-www-form-urlencoded"),
    "no boundary": ("MalformedPOSTRequest", b"", "multipart/form-data"),
    "nothing": ("MalformedPOSTRequest", b"", f"multipart/form-data; boundary={BOUNDARY}"),
    "no fields": (
        "InvalidArgument",
        encoded([]),
        f"multipart/form-data; boundary={BOUNDARY}",
    ),
}


@pytest.mark.parametrize(("code", "body", "kind"), BODIES.values(), ids=BODIES)
async def test_what_is_no_form_is_refused_in_the_same_words(
    owner: Owner, code: str, body: bytes, kind: str
) -> None:
    answer = await owner.send(body, kind)
    assert (400, code) == (answer.status, code_of(answer))


async def test_a_form_that_is_cut_off_leaves_nothing(owner: Owner, tmp_path: Path) -> None:
    made = await owner.make()
    whole = encoded(list(made["upload"]["fields"].items()))
    for cut in (whole[:-20], whole[: whole.index(b'name="file"')], whole[:100]):
        answer = await owner.send(cut)
        await refused(owner, made, answer, code_of(answer), tmp_path, 400)
    await owner.complete(made)


async def test_the_fields_take_twenty_kilobytes_together(owner: Owner, tmp_path: Path) -> None:
    made = await owner.make()
    fields = list(made["upload"]["fields"].items())
    used = sum(len(name) + len(value) for name, value in fields)
    name = "x-ignore-"
    room = 20 * 1024 - used - len(name)
    answer = await owner.post_fields([*fields, (name, "x" * (room + 1))])
    await refused(owner, made, answer, "MaxPostPreDataLengthExceeded", tmp_path, 400)
    assert 204 == (await owner.post_fields([*fields, (name, "x" * room)])).status


@pytest.mark.parametrize(
    ("status", "code", "method", "path"),
    [
        (405, "MethodNotAllowed", "PUT", "/private-files"),
        (405, "MethodNotAllowed", "GET", "/filestore/private-files"),
        (404, "NoSuchKey", "GET", "/private-files/a/b/c/d"),
        (403, "AccessDenied", "GET", "/private-files/a/b/c"),
    ],
)
async def test_every_refusal_on_the_path_is_in_this_form(
    owner: Owner, status: int, code: str, method: str, path: str
) -> None:
    answer = await owner.client.ask(method, path)
    assert (status, code) == (answer.status, code_of(answer))


# One form, once.


async def test_a_form_is_used_once(owner: Owner, tmp_path: Path) -> None:
    made = await owner.make()
    await owner.complete(made)
    answer = await owner.post(made["upload"], b"d,e\n3,4\n")
    assert (403, "AccessDenied") == (answer.status, code_of(answer))
    assert CONTENT.decode() == (await owner.read((await owner.see(made))["url"])).text
    assert len(left(tmp_path)) == 1


async def test_a_new_form_ends_the_one_before_and_the_old_bytes_stay_until_it_is_used(
    owner: Owner,
) -> None:
    made = await owner.make()
    link = (await owner.complete(made))["url"]
    second = await owner.begin_anew(made, fileSize=5)
    third = await owner.begin_anew(made, fileSize=5)
    for old in (made, second):
        answer = await owner.post(old["upload"], b"hello")
        assert (403, "AccessDenied") == (answer.status, code_of(answer))
    assert CONTENT.decode() == (await owner.read(link)).text
    seen = await owner.complete(third, b"hello")
    assert "hello" == (await owner.read(seen["url"])).text
    assert 404 == (await owner.read(link)).status


class Slow:
    """A form that is sent up to the middle of its file, and goes on when it is told."""

    def __init__(self, owner: Owner, file: File, content: bytes = CONTENT) -> None:
        body = encoded(list(file["upload"]["fields"].items()), content)
        at = body.index(content) + len(content) // 2
        self._pieces = body[:at], body[at:]
        self._begun, self._go_on = asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._send(owner))

    async def begun(self, folder: Path, uploads: int) -> None:
        """So many uploads have a place on the disk."""
        await self._begun.wait()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(left(folder)) < uploads:
                await asyncio.sleep(0.01)

    async def end(self) -> Answer:
        self._go_on.set()
        return await self._task

    async def _send(self, owner: Owner) -> Answer:
        url = f"{owner.client.url}/private-files"
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        async with owner.client.session.post(url, data=self._body(), headers=headers) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.text())

    async def _body(self) -> AsyncIterator[bytes]:
        first, rest = self._pieces
        yield first
        self._begun.set()
        await self._go_on.wait()
        yield rest


async def test_of_two_who_post_one_form_at_once_one_is_told_so(
    owner: Owner, tmp_path: Path
) -> None:
    made = await owner.make()
    contents = (b"a" * len(CONTENT), b"b" * len(CONTENT))
    both = [Slow(owner, made, content) for content in contents]
    for slow in both:
        await slow.begun(tmp_path, 2)
    answers = await asyncio.gather(*(slow.end() for slow in both))
    assert [204, 409] == sorted(answer.status for answer in answers)
    won = next(i for i, answer in enumerate(answers) if answer.status == 204)
    assert "OperationAborted" == code_of(answers[1 - won])
    assert contents[won].decode() == (await owner.read((await owner.see(made))["url"])).text
    assert len(left(tmp_path)) == 1


MEANWHILE: dict[str, tuple[str, str, object]] = {
    "it is removed": ("DELETE", "{file}", {}),
    "its application is removed": ("DELETE", "/applications/{application}", {}),
    "another upload is begun": ("PATCH", "{file}", {"fileSize": len(CONTENT)}),
}


@pytest.mark.parametrize(("method", "path", "body"), MEANWHILE.values(), ids=MEANWHILE)
async def test_an_upload_is_refused_if_meanwhile(
    owner: Owner, tmp_path: Path, method: str, path: str, body: object
) -> None:
    made = await owner.make()
    slow = Slow(owner, made)
    await slow.begun(tmp_path, 1)
    address = path.format(file=f"{owner.path}/{made['id']}", application=owner.application)
    assert (await owner.client.ask(method, address, body)).status in (200, 201)
    answer = await slow.end()
    assert (409, "OperationAborted") == (answer.status, code_of(answer))
    assert [] == left(tmp_path)


async def test_an_upload_in_one_step_ends_the_one_by_form(owner: Owner, tmp_path: Path) -> None:
    made = await owner.make()
    slow = Slow(owner, made)
    await slow.begun(tmp_path, 1)
    await upload_in_one_step(owner, made, b"direct")
    answer = await slow.end()
    assert (409, "OperationAborted") == (answer.status, code_of(answer))
    assert "direct" == (await owner.read((await owner.see(made))["url"])).text


async def test_a_file_that_moves_meanwhile_has_its_bytes_where_it_went(
    owner: Owner, tmp_path: Path
) -> None:
    made = await owner.make()
    slow = Slow(owner, made)
    await slow.begun(tmp_path, 1)
    moved = await owner.client.ask("POST", f"{owner.path}/{made['id']}/move?name=other.csv", {})
    assert (201, "pending") == (moved.status, moved.json["status"])
    assert 204 == (await slow.end()).status
    assert "completed" == (await owner.see(moved.json))["status"]


# Nothing of the file is read before its sender may send it.


async def early_answer(owner: Owner, first: bytes) -> tuple[Answer, bool]:
    """The answer to the beginning of an endless form, and whether more was asked for."""
    went_on = False
    never = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        nonlocal went_on
        yield first
        await never.wait()
        went_on = True

    url = f"{owner.client.url}/private-files"
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        aiohttp.ClientSession() as session,
        session.post(url, data=body(), headers=headers) as answer,
    ):
        return Answer(answer.status, dict(answer.headers), await answer.text()), went_on


async def test_a_wrong_form_is_refused_before_its_file_is_read(
    owner: Owner, tmp_path: Path
) -> None:
    made = await owner.make()
    fields = made["upload"]["fields"] | {"X-Amz-Signature": "0" * 64}
    body = encoded(list(fields.items()), b"x" * 1000)
    answer, _ = await early_answer(owner, body[: body.index(b"x" * 1000) + 500])
    await refused(owner, made, answer, "SignatureDoesNotMatch", tmp_path, 403)


async def test_a_file_before_its_fields_is_refused_before_it_is_read(
    owner: Owner, tmp_path: Path
) -> None:
    made = await owner.make()
    key, *rest = made["upload"]["fields"].items()
    body = encoded([key], b"x" * 1000, rest)
    answer, _ = await early_answer(owner, body[: body.index(b"x" * 1000) + 500])
    await refused(owner, made, answer, "InvalidArgument", tmp_path, 400)
    await refused(owner, made, await owner.send(body), "InvalidArgument", tmp_path, 400)


async def test_a_file_is_cut_off_at_the_first_byte_too_many(owner: Owner, tmp_path: Path) -> None:
    made = await owner.make()
    body = encoded(list(made["upload"]["fields"].items()), CONTENT + b"x" * 2_000_000)
    answer, _ = await early_answer(owner, body[:1_000_000])
    await refused(owner, made, answer, "EntityTooLarge", tmp_path, 400)


# Forms of others, and what is made of them.


def with_boto3(owner: Owner, file: File, key: AccessKey, **more: Any) -> FormFields:
    conditions = more.pop("conditions", [["content-length-range", 8, 8]])
    _, fields = boto3_form(
        key,
        f"{owner.client.url}/{BUCKET}",
        file["upload"]["fields"]["key"],
        fields={"Content-Type": "text/csv"},
        conditions=[{"Content-Type": "text/csv"}, *conditions],
        **more,
    )
    return fields


@pytest.mark.parametrize("secret", [SECRET, PREVIOUS], ids=["the key", "the key before"])
async def test_a_form_of_boto3s_is_taken(owner: Owner, secret: str) -> None:
    made = await owner.make()
    fields = with_boto3(owner, made, key_of(secret))
    assert 204 == (await owner.post_fields(list(fields.items()))).status
    assert "completed" == (await owner.see(made))["status"]


def _ours(owner: Owner, file: File) -> FormFields:
    del owner
    return dict(file["upload"]["fields"])


def _boto3s(owner: Owner, file: File) -> FormFields:
    return with_boto3(owner, file, KEY)


FORMS = {"ours": _ours, "boto3's": _boto3s}
NAMES = (
    *("key", "content-type", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "policy"),
    "x-amz-signature",
)


def spelt(fields: FormFields, name: str) -> str:
    return next(given for given in fields if given.lower() == name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_no_field_may_be_changed_removed_or_doubled(
    owner: Owner, tmp_path: Path, form: Callable[[Owner, File], FormFields], name: str
) -> None:
    made = await owner.make()
    fields = form(owner, made)
    own = spelt(fields, name)
    value = fields[own]
    flipped = value[:-1] + ("0" if value[-1] != "0" else "1")
    others = [(n, v) for n, v in fields.items() if n != own]
    for changed in (
        [*others, (own, flipped)],
        [*others, (own, value + "x")],
        [*others, (own, "")],
        others,
        [*others, (own, value), (own, value)],
        [*others, (own, value), (own.upper() if own != own.upper() else own.lower(), value)],
    ):
        answer = await owner.post_fields(changed)
        assert answer.status in (400, 403)
        await refused(owner, made, answer, code_of(answer), tmp_path)
    assert 204 == (await owner.post_fields(list(fields.items()))).status


def _expired(_: Owner, file: File) -> FormFields:
    terms = Terms(file["upload"]["fields"]["key"], "text/csv", SizeRange(8, 8))
    return make_form(OURS, terms, now=datetime.now(UTC) - timedelta(seconds=11), seconds=10)


def _early(_: Owner, file: File) -> FormFields:
    terms = Terms(file["upload"]["fields"]["key"], "text/csv", SizeRange(8, 8))
    return make_form(OURS, terms, now=datetime.now(UTC) + timedelta(hours=1), seconds=10)


def _of_another_key(owner: Owner, file: File) -> FormFields:
    return with_boto3(owner, file, key_of("x" * 32))


def _of_another_key_under_our_id(owner: Owner, file: File) -> FormFields:
    return with_boto3(owner, file, AccessKey(KEY.id, key_of("x" * 32).secret))


def _of_another_region(owner: Owner, file: File) -> FormFields:
    return with_boto3(owner, file, KEY, region="eu-west-1")


def _too_small(owner: Owner, file: File) -> FormFields:
    return with_boto3(owner, file, KEY, conditions=[["content-length-range", 9, 10]])


def _too_large(owner: Owner, file: File) -> FormFields:
    return with_boto3(owner, file, KEY, conditions=[["content-length-range", 0, 7]])


def _of_nobody(owner: Owner, file: File) -> FormFields:
    other = {"upload": {"fields": {"key": f"{'0' * 24}/{'0' * 32}/1"}}}
    return with_boto3(owner, {**file, **other}, KEY)


def _widened(owner: Owner, file: File) -> FormFields:
    """Our form with a policy that allows more, signed by somebody else's key."""
    fields = _ours(owner, file)
    policy = policy_of(fields)
    policy["conditions"].append(["starts-with", "$acl", ""])
    return signed_by_hand(key_of("x" * 32), fields, policy)


REFUSED: Mapping[str, tuple[str, int, Callable[[Owner, File], FormFields]]] = {
    "expired": ("AccessDenied", 403, _expired),
    "not yet valid": ("AccessDenied", 403, _early),
    "of another key": ("InvalidAccessKeyId", 403, _of_another_key),
    "of another key under our id": ("SignatureDoesNotMatch", 403, _of_another_key_under_our_id),
    "of another region": ("InvalidArgument", 400, _of_another_region),
    "for a larger file": ("EntityTooSmall", 400, _too_small),
    "for a smaller file": ("EntityTooLarge", 400, _too_large),
    "for a file that nobody has": ("AccessDenied", 403, _of_nobody),
    "widened by another": ("SignatureDoesNotMatch", 403, _widened),
}


@pytest.mark.parametrize(("code", "status", "form"), REFUSED.values(), ids=REFUSED)
async def test_a_form_is_refused_that_is(
    owner: Owner,
    tmp_path: Path,
    code: str,
    status: int,
    form: Callable[[Owner, File], FormFields],
) -> None:
    made = await owner.make()
    answer = await owner.post_fields(list(form(owner, made).items()))
    await refused(owner, made, answer, code, tmp_path, status)


# In one step.


async def upload_in_one_step(
    owner: Owner,
    file: Mapping[str, Any],
    content: bytes,
    query: str = "",
    part: str = "privateFile",
) -> Answer:
    body = encoded([], content).replace(b'name="file"', f'name="{part}"'.encode())
    return await owner.client.ask(
        "POST",
        f"{owner.path}/{file['id']}/upload{query}",
        body,
        Content_Type=f"multipart/form-data; boundary={BOUNDARY}",
    )


async def test_an_upload_in_one_step_completes_a_file_and_replaces_it(owner: Owner) -> None:
    made = await owner.make()
    for content in (b"first", b"second"):
        answer = await upload_in_one_step(owner, made, content)
        assert (200, "completed", made["id"], len(content), "text/csv") == (
            answer.status,
            *(answer.json[name] for name in ("status", "id", "fileSize", "contentType")),
        )
        assert content.decode() == (await owner.read(answer.json["url"])).text
    assert 403 == (await owner.post(made["upload"])).status
    assert "url" not in (await upload_in_one_step(owner, made, b"third", "?urlTTL=0")).json


async def test_an_upload_in_one_step_needs_its_part_and_a_file(
    owner: Owner, tmp_path: Path
) -> None:
    made = await owner.make()
    answer = await upload_in_one_step(owner, made, b"first", part="file")
    assert (400, "Validation") == (answer.status, answer.json["type"])
    folder = await owner.client.ask(
        "POST", owner.path, {"name": "folder", "type": "directory", "parentDirectory": "/"}
    )
    answer = await upload_in_one_step(owner, folder.json, b"first")
    assert (400, "Validation") == (answer.status, answer.json["type"])
    answer = await upload_in_one_step(owner, {"id": "0" * 24}, b"first")
    assert (404, "NotFound") == (answer.status, answer.json["type"])
    assert [] == left(tmp_path)
