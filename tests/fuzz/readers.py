"""Whoever reads what a stranger wrote, with good inputs of each, and what must hold of what was taken.

A reader takes an input or refuses it in our own words (``GatewayError``). Anything else is a finding: another
exception, a promise that does not hold of what was taken (``AssertionError``), or more time than ``SLOWEST_SECONDS``.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import cast
from urllib.parse import parse_qsl, urlencode
from uuid import UUID
from xml.etree import ElementTree as ET

import jwt
import orjson
from aiohttp import web
from multidict import CIMultiDict, MultiDict
from yarl import URL

from gateway.dialects.gravwell.records import guid_of, meta_of, simple_meta
from gateway.dialects.gravwell.sniffing import sniff
from gateway.dialects.losant import ids, paths
from gateway.dialects.losant.glob import like_of
from gateway.dialects.losant.query import (
    content_type_member,
    dimensions_member,
    list_query,
    size_member,
)
from gateway.dialects.losant.storage.rendering import xml
from gateway.dialects.mainflux import fields
from gateway.dialects.mainflux.classes import class_of, format_of
from gateway.dialects.mainflux.query import paging_of, query_flag
from gateway.identity.emails import check_email
from gateway.identity.secrets import check_chosen_key, check_password, check_thing_key
from gateway.identity.tokens import TokenClaims, Tokens
from gateway.messaging.headers import check_headers
from gateway.messaging.posting import read_retry_after
from gateway.messaging.senml import parse_pack, shown_pack
from gateway.messaging.targets import TargetRules, is_public, parse_target
from gateway.model.byterange import RangePolicy, combine_headers, parse_range, parse_ranges
from gateway.model.certificate import parse_fingerprint
from gateway.model.digest import claims_of, parse_sha256_text
from gateway.model.disposition import attachment, parse_disposition
from gateway.model.errors import GatewayError
from gateway.model.file import Scope, check_id, check_name, check_seen
from gateway.model.json import parse_json
from gateway.model.label import check_label
from gateway.model.media import check_content_type, guess_content_type, stored_content_type
from gateway.model.precondition import (
    Conditions,
    Validators,
    evaluate,
    parse_http_date,
    range_holds,
)
from gateway.web.authentication import credential, secret
from gateway.web.certificates import certificate_of_pem
from gateway.web.operations.nginx_log import read_line
from gateway.web.proxies import TrustedPeers
from gateway.web.server.unparsed import line_of
from gateway.web.signing.links import LinkSigner
from gateway.web.signing.sigv4 import Authority, SizeRange, Terms, access_key, check_form, make_form
from tests.fuzz.damage import damaged, odd
from tests.tools.forms import FILE, form, parsed, part, pieces
from tests.tools.s3forms import signed_by_hand

SLOWEST_SECONDS = 0.05
NOW = datetime(2026, 11, 26, 1, 30, tzinfo=UTC)
CURRENT = Validators('"now"', datetime(2026, 11, 21, tzinfo=UTC))
KEY = access_key(b"k" * 32)
OURS = Authority((KEY,), "private-files")
FORM = make_form(
    OURS,
    Terms("a/b/1", "text/csv", SizeRange(0, 500), ("success_action_status",)),
    now=NOW,
    seconds=3600,
)
LINKS, LINKED = LinkSigner((b"k" * 32,)), "/private-files/a/b/c.bin"
TOKENS = Tokens(b"t" * 32, clock=lambda: NOW)
USER = UUID(int=7)
ISSUED = TOKENS.issue(TokenClaims(USER, "a@b.example", NOW))
CLAIMS: Mapping[str, object] = jwt.decode(ISSUED, options={"verify_signature": False})
KEY_ID = jwt.get_unverified_header(ISSUED)["kid"]
PROXIES = TrustedPeers(("127.0.0.1/32", "unix"), "secret")
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@dataclass(frozen=True, slots=True)
class Reader:
    """What reads, and good inputs for it: texts, or JSON values that are damaged as such, too."""

    read: Callable[[bytes], object]
    good: Sequence[bytes]
    values: Sequence[object] = ()
    weight: int = 4

    def made(self, pick: random.Random) -> bytes:
        """An input by choices; now and then a good one, or else nobody would know that it is."""
        if pick.random() < 0.02:
            return pick.choice(self.good)
        if self.values and pick.random() < 0.7:
            return json.dumps(odd(pick, pick.choice(self.values))).encode("utf-8", "surrogatepass")
        return damaged(pick, pick.choice(self.good), self.good)


def check(reader: Reader, text: bytes) -> bool:
    """Whether it was taken. Raises what is a finding."""
    took = time.thread_time()
    taken = _taken(reader, text)
    took = time.thread_time() - took
    if took > SLOWEST_SECONDS:
        again = time.thread_time()
        _taken(reader, text)
        assert time.thread_time() - again < SLOWEST_SECONDS, f"slow: {took:.3f} s"
    return taken


def _taken(reader: Reader, text: bytes) -> bool:
    try:
        reader.read(text)
    except GatewayError:
        return False
    return True


def as_header(text: bytes) -> str:
    """As headers are decoded."""
    return text.decode("utf-8", "surrogateescape")


def request_of(query: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> web.Request:
    """What readers ask of a request: its headers, and its query as the server decodes it."""
    text = as_header(query).partition("#")[0]
    url = URL.build(path="/", query_string=text, encoded=True)
    asked = SimpleNamespace(headers=CIMultiDict(headers), query=url.query, rel_url=url)
    return cast(web.Request, asked)


def each(*readings: Callable[[], object]) -> None:
    """All of them, though one refuses. Raises the last refusal if none took it."""
    refusals = list[GatewayError]()
    for reading in readings:
        try:
            reading()
        except GatewayError as refusal:
            refusals.append(refusal)
    if len(refusals) == len(readings):
        raise refusals[-1]


def _name(text: bytes) -> None:
    """A name that is taken is read back from the header that it is written into."""
    name = check_name(as_header(text))
    assert 0 < len(name.encode()) <= 255
    assert not set(name) & set("/\\\0\r\n")
    written = attachment(name)
    assert written.isascii()
    assert written.isprintable()
    assert parse_disposition(written) == ("attachment", {"filename": name})
    check_seen(name)


def _any_name(text: bytes) -> None:
    name = as_header(text)
    assert attachment(name).isascii()
    guess_content_type(name)
    class_of(name)
    format_of(name)
    each(lambda: check_id(name), lambda: Scope("things", name))


def _range(text: bytes) -> None:
    header = as_header(text)
    combine_headers([header], [header])
    each(*(partial(_ranges, header, size, policy) for size in (1, 100) for policy in RangePolicy))


def _ranges(header: str, size: int, policy: RangePolicy) -> None:
    chosen = parse_ranges(header, size, policy) or ()
    assert sum(span.length for span in chosen) <= size
    assert all(0 <= span.start < span.stop <= size for span in chosen)
    if len(chosen) == 1:
        assert parse_range(header, size, policy) == chosen[0]


def _conditions(text: bytes) -> None:
    header = as_header(text)
    conditions = Conditions(header, header, header, header, header)
    for method in ("GET", "PUT"):
        evaluate(conditions, CURRENT, method=method, now=NOW)
        evaluate(conditions, None, method=method, now=NOW)
    range_holds(header, CURRENT, now=NOW)
    parse_http_date(header, now=NOW)
    read_retry_after(header, NOW.timestamp())


def _digests(text: bytes) -> None:
    header = as_header(text)
    names = ("Content-Digest", "Digest", "Content-MD5")
    each(*(partial(_claims_of, name, header) for name in names), lambda: parse_sha256_text(header))


def _claims_of(name: str, header: str) -> None:
    assert all(len(claim.value) in (16, 32, 64) for claim in claims_of([(name, header)]))


def _multipart(text: bytes) -> None:
    """However it is cut it is the same form."""
    middle = len(text) // 2
    whole = parsed([text])
    assert whole == parsed(pieces(text, [middle]))
    assert whole == parsed(pieces(text, [1, 2, middle, len(text) - 1]))
    for headers, _ in whole.parts:
        for name, value in headers:
            if name == "content-disposition":
                parse_disposition(value)


def _media(text: bytes) -> None:
    header = as_header(text)
    assert stored_content_type(header).isascii()
    check_content_type(header)


def _json(text: bytes) -> None:
    orjson.dumps(parse_json(text))


def _senml(text: bytes) -> None:
    records = parse_pack(parse_json(text), now=1_700_000_000.0)
    shown = shown_pack(records)
    assert shown_pack(parse_pack(json.loads(json.dumps(shown)), now=0.0)) == shown


def _webhook(text: bytes) -> None:
    body = fields.as_object(parse_json(text), "a webhook")
    each(
        lambda: check_headers(body.get("headers"), {}),
        lambda: TargetRules().check(parse_target(body.get("url"))),
    )


def _object(text: bytes) -> None:
    """What the APIs' bodies are made of."""
    body = fields.as_object(parse_json(text), "the body")
    each(
        lambda: fields.metadata_of(body),
        lambda: fields.external_id(body),
        lambda: fields.ids_of(body, "ids"),
        lambda: fields.text_of(body, "name"),
        lambda: fields.flag_of(body, "flag"),
        lambda: check_label(body.get("name"), "name"),
        lambda: check_email(body.get("email")),
        lambda: check_password(body.get("password")),
        lambda: check_thing_key(body.get("key")),
        lambda: check_chosen_key(body.get("key")),
    )


def _losant(text: bytes) -> None:
    body = fields.as_object(parse_json(text), "the body")
    each(
        lambda: size_member(body, "fileSize"),
        lambda: content_type_member(body),
        lambda: dimensions_member(body),
        lambda: _place(body),
        lambda: like_of(str(body.get("filter")), longest=1000),
    )


def _place(body: Mapping[str, object]) -> None:
    parent = paths.check_directory(body.get("parentDirectory"))
    place = paths.check_place(parent, paths.check_new_name(body.get("name")), directory=True)
    assert paths.check_directory(place.inside) == place.inside


def _gravwell(text: bytes) -> None:
    header = as_header(text)
    each(
        lambda: orjson.dumps(meta_of(parse_json(text)).attributes()),
        lambda: simple_meta({"name": header, "guid": header}),
    )


def _policy(text: bytes) -> None:
    """Signed by our own key, so that what is behind the signature reads it."""
    try:
        policy = orjson.loads(text)
    except ValueError:
        signed = FORM | {"policy": base64.b64encode(text).decode()}
    else:
        signed = signed_by_hand(KEY, dict(FORM), policy)
    check_form(OURS, signed, now=NOW).sizes.check(10)


def _form_fields(text: bytes) -> None:
    given = parse_qsl(text.decode("utf-8", "replace"), keep_blank_values=True)
    check_form(OURS, dict(given), now=NOW)


def _link(text: bytes) -> None:
    query = MultiDict(parse_qsl(as_header(text), keep_blank_values=True))
    link = LINKS.check(LINKED, query, NOW.timestamp())
    assert link.version == "v" * 24
    assert link.expires == 1_800_000_000


def _token(text: bytes) -> None:
    claims = TOKENS.read(as_header(text))
    assert claims.user_id == USER


def _claims(text: bytes) -> None:
    """Signed by our own key."""
    try:
        payload = json.loads(text)
        token = jwt.encode(payload, b"t" * 32, algorithm="HS256", headers={"kid": KEY_ID})
    except (ValueError, TypeError):
        return
    TOKENS.read(token)


def _credential(text: bytes) -> None:
    header = as_header(text)
    origins = [("Origin", header), ("Host", header)]
    request = request_of(headers=[("Authorization", header), *origins])
    schemes = ("thing", "bearer")
    each(
        *(partial(secret, request, scheme) for scheme in schemes),
        *(partial(credential, request, scheme) for scheme in schemes),
    )


def _query(text: bytes) -> None:
    request = request_of(text)
    each(
        lambda: query_flag(request, "connected"),
        lambda: fields.listing_of(request),
        lambda: paging_of(request, orders=("name", "time")),
    )


def _losant_query(text: bytes) -> None:
    asked = list_query(request_of(text), ("name",), "name")
    like_of(asked.pattern or "", longest=1000)


def _addresses(text: bytes) -> None:
    header = as_header(text)
    PROXIES.client_of({"X-Forwarded-For": header, "X-Filestore-Proxy-Secret": header}, "127.0.0.1")
    target = parse_target(header)
    with contextlib.suppress(ValueError):
        is_public(str(ipaddress.ip_address(target.host)))


def _ids(text: bytes) -> None:
    header = as_header(text)
    sniff(text)
    line_of(text)
    read_line(text)
    each(
        lambda: guid_of(header),
        lambda: ids.check_id(header, "id"),
        lambda: parse_fingerprint(header),
    )


def _pem(text: bytes) -> None:
    certificate_of_pem(as_header(text))


def _written_xml(text: bytes) -> None:
    """What we write of anybody's text is XML."""
    said = as_header(text).encode("utf-8", "replace").decode()
    ET.fromstring(xml("Error", {"Code": "x", "Message": said}))


PARTS = form(part(FILE, b"content"), part('Content-Disposition: form-data; name="a"', b"b\r\n--b-"))
DISPOSITIONS = [
    b'form-data; name="file"; filename="a b.bin"', b"form-data; name=file; filename*=UTF-8''%e2%82%ac.bin",
    b'form-data; name="a\\"b"; filename="a%22b"', b"attachment; filename=x.bin; size=3",
]  # fmt: skip
NAMES = [
    b"fw.bin",
    b"a" * 255,
    "é.bin".encode(),
    b"con",
    b"a b (1).tar.gz",
    "ファイル".encode(),
    b"\xe2\x80\xaea",
]
RANGES = [
    b"bytes=0-99",
    b"bytes=5-",
    b"bytes=-5",
    b"bytes=0-0,5-6, 90-",
    b"bytes=1-2,3-4,5-6,7-8,9-10,-1",
    b"items=1-2",
]
TAGS = [
    b'"now"',
    b'W/"now", "b"',
    b"*",
    DATE.encode(),
    b"Sunday, 06-Nov-94 08:49:37 GMT",
    b"Sun Nov  6 08:49:37 1994",
]
SHA = base64.b64encode(b"a" * 32)
DIGESTS = [b"sha-256=:" + SHA + b":", b"sha-512=:" + base64.b64encode(b"b" * 64) + b":, md5=:AAAA:", b"SHA-256=" + SHA,
           b"MD5=" + base64.b64encode(b"c" * 16), b"61" * 32, b'a;b=1, c=("d" e;f=?1);g=1.5', b"unixsum=30637"]  # fmt: skip
TYPES = [
    b"text/plain; charset=utf-8",
    b'a/b;c="d\\"e"',
    b"application/x-fw",
    b"multipart/form-data; boundary=b-0",
]
SENML: list[object] = [
    [{"bn": "a:", "bt": 1.27e9, "bu": "A", "bver": 5, "n": "voltage", "u": "V", "v": 120.1}, {"n": "current", "t": -5, "v": 1.2}],
    [{"n": "a", "vs": "text"}, {"n": "b", "vb": True}, {"n": "c", "vd": "aGk"}, {"n": "d", "s": 1.5, "ut": 3}],
    [{"bn": "x", "bv": 1, "bs": 2, "n": "y", "v": 3, "sum": 4}],
]  # fmt: skip
WEBHOOKS: list[object] = [
    {
        "url": "https://hooks.example.com:8443/a?b=c",
        "headers": {"X-Key": "v", "Authorization": "Bearer x"},
    },
    {"url": "http://[2001:db8::1]/x", "headers": {"A": None}},
]
OBJECTS: list[object] = [
    {"id": str(USER), "name": "a thing", "metadata": {"a": [1, {"b": None}]}, "ids": [str(USER)], "flag": True,
     "email": "someone@example.com", "password": "correct-horse", "key": "k" * 40},
]  # fmt: skip
LOSANT: list[object] = [
    {"name": "a.bin", "type": "file", "parentDirectory": "/a/b/", "fileSize": 5, "contentType": "a/b",
     "fileDimensions": {"width": 1, "height": 2}, "filter": "a*?[b]\\*"},
]  # fmt: skip
META: list[object] = [
    {"GUID": str(USER), "Name": "n", "Desc": "d", "Labels": ["a", "b"], "GIDs": [1, 2], "UID": 3, "Global": True,
     "WriteAccess": {"Global": False, "GIDs": [1]}, "ThingUUID": str(USER), "Size": 5},
]  # fmt: skip
FORM_FIELDS = urlencode(FORM).encode()
POLICIES: list[object] = [
    {"expiration": "2026-11-26T02:30:00Z", "conditions": [
        {"key": "a/b/1"}, ["eq", "$bucket", "private-files"], ["starts-with", "$Content-Type", "text/"],
        ["starts-with", "$x-amz-algorithm", ""], ["starts-with", "$x-amz-credential", ""], ["starts-with", "$x-amz-date", ""],
        ["starts-with", "$success_action_status", ""], ["content-length-range", 0, 500]]},
]  # fmt: skip
QUERIES = [
    b"limit=10&offset=5&order=name&dir=asc&name=a%20b",
    b"limit=0",
    b"offset=999999&metadata=%7B%22a%22%3A1%7D",
    b"connected=true&limit=-1",
]
LOSANT_QUERIES = [
    b"perPage=10&page=2&sortField=name&sortDirection=desc&filterField=name&filter=a*%3F",
    b"filter=%5Ba-z%5D",
]
CREDENTIALS = [
    b"Thing abcdef",
    b"Bearer a.b.c",
    b"Basic dXNlcjpwYXNz",
    b"abcdef",
    b"http://example.com:80",
    b"http://[::1]",
]
LINE = b'<190>Nov 26 07:00:00 host nginx: 206 4096 "bytes 0-4095/9000" 4096 OK'
PEM = b"""-----BEGIN CERTIFICATE-----
MIIBFTCBu6ADAgECAgEHMAoGCCqGSM49BAMCMBMxETAPBgNVBAMMCGRldmljZSA3
MCAXDTI2MDEwMTAwMDAwMFoYDzIxMjYwMTAxMDAwMDAwWjATMREwDwYDVQQDDAhk
ZXZpY2UgNzBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGZmUBZ9CJ652QNeQi7n
Z1Yl9LT+APz7HmbLJY3CWCpjtWEKYavkzui5j1j+N3aXnqJWQT2t7nOzwketJdMa
14owCgYIKoZIzj0EAwIDSQAwRgIhAN1pMshQkLftt35BWEOV7+a21+TUpa/DU3K4
ysc5vGVRAiEA30ZwKihvRNDd3eh2S7EzNkSXDf6si+RlixBLK5KUAqU=
-----END CERTIFICATE-----
"""

READERS: Mapping[str, Reader] = {
    "name": Reader(_name, NAMES, weight=12),
    "any name": Reader(_any_name, NAMES, weight=8),
    "disposition": Reader(lambda text: parse_disposition(as_header(text)), DISPOSITIONS, weight=12),
    "range": Reader(_range, RANGES, weight=10),
    "conditions": Reader(_conditions, TAGS, weight=8),
    "digests": Reader(_digests, DIGESTS, weight=8),
    "multipart": Reader(_multipart, [PARTS, form(part(FILE, b"")), b"pre\r\n" + PARTS], weight=8),
    "content type": Reader(_media, TYPES, weight=8),
    "JSON": Reader(
        _json,
        [orjson.dumps(OBJECTS[0]), b'{"a":[1,{"b":"\\u0000"}]}', b"[" * 60 + b"]" * 60],
        weight=6,
    ),
    "SenML": Reader(_senml, [json.dumps(pack).encode() for pack in SENML], SENML, weight=8),
    "webhook": Reader(_webhook, [json.dumps(WEBHOOKS[0]).encode()], WEBHOOKS),
    "object": Reader(_object, [orjson.dumps(OBJECTS[0])], OBJECTS, weight=6),
    "Losant object": Reader(_losant, [orjson.dumps(LOSANT[0])], LOSANT),
    "Gravwell object": Reader(_gravwell, [orjson.dumps(META[0])], META),
    "policy": Reader(_policy, [orjson.dumps(POLICIES[0])], POLICIES, weight=6),
    "form fields": Reader(_form_fields, [FORM_FIELDS]),
    "link": Reader(_link, [LINKS.query(LINKED, "v" * 24, 1_800_000_000).encode()]),
    "token": Reader(_token, [ISSUED.encode()]),
    "claims": Reader(_claims, [json.dumps(CLAIMS).encode()], [CLAIMS]),
    "credential": Reader(_credential, CREDENTIALS),
    "query": Reader(_query, QUERIES),
    "Losant query": Reader(_losant_query, LOSANT_QUERIES, weight=2),
    "addresses": Reader(
        _addresses,
        [
            b"10.0.0.1, 192.0.2.7",
            b"http://a.example/b",
            b"[::ffff:1.2.3.4]",
            b"http://127.0.0.1:1/",
        ],
    ),
    "ids": Reader(
        _ids, [str(USER).encode(), b"a" * 24, b"GET /a?b HTTP/1.1\r\n", LINE, b"61" * 32]
    ),
    "certificate": Reader(_pem, [PEM], weight=1),
    "written XML": Reader(_written_xml, [b"<a>&amp;]]>", b"\x00\x01\xff", "é\ufffe".encode()]),
}
_NAMES = tuple(READERS)
_WEIGHTS = tuple(reader.weight for reader in READERS.values())


class Found(AssertionError):
    """What a reader did with an input that is neither taking nor refusing it."""


def fuzz(pick: random.Random, count: int) -> dict[str, int]:
    """Try so many inputs; how many of each reader's were taken. Raises ``Found`` with the input."""
    taken = dict.fromkeys(_NAMES, 0)
    for name in pick.choices(_NAMES, _WEIGHTS, k=count):
        reader = READERS[name]
        text = reader.made(pick)
        try:
            taken[name] += check(reader, text)
        except Exception as exc:
            raise Found(f"{name}: {text!r}: {type(exc).__name__}: {exc}") from exc
    return taken
