"""What a webhook is sent of what happened to a file, queued now or by an earlier release."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from gateway.messaging.records import Delivery, Format
from gateway.messaging.render import Rendered, rendered

THING = UUID(int=7)


def delivery_of(event: str, body: str, form: Format = Format.JSON) -> Delivery:
    return Delivery(1, UUID(int=1), THING, "http://a.example/", form, event, body, 0)


def told(event: str, **known: object) -> str:
    """A row of the outbox as ``tell_of_file`` writes it."""
    empty = dict.fromkeys(("size", "sha256", "content_type"))
    return json.dumps(
        {"event": event, "kind": "things", "owner": str(THING), "name": "a", "time": 1.5}
        | empty
        | known
    )


@pytest.mark.parametrize("form", list(Format))
@pytest.mark.parametrize(
    ("body", "header", "expected"),
    [
        pytest.param(
            told("created", size=1, sha256="ab", content_type="a/b"),
            "file.uploaded",
            {"event": "uploaded", "size": 1, "sha256": "ab", "content_type": "a/b"},
            id="created",
        ),
        pytest.param(
            told("replaced", size=0, sha256="ab", content_type="a/b"),
            "file.replaced",
            {"event": "replaced", "size": 0, "sha256": "ab", "content_type": "a/b"},
            id="replaced",
        ),
        pytest.param(told("removed"), "file.deleted", {"event": "deleted"}, id="removed"),
    ],
)
def test_a_neutral_event_gets_the_words_of_the_api(
    body: str, header: str, expected: dict[str, object], form: Format
) -> None:
    sent = rendered(delivery_of("files", body, form))
    assert (header, "application/json") == (sent.event, sent.content_type)
    everything = {"thing_id": str(THING), "name": "a", "time": 1.5, **expected}
    assert everything == json.loads(sent.body)


def test_what_an_earlier_release_worded_is_sent_as_it_was_queued() -> None:
    sent = rendered(delivery_of("file.uploaded", '{"event": "uploaded"}'))
    assert Rendered("file.uploaded", "application/json", b'{"event": "uploaded"}') == sent
