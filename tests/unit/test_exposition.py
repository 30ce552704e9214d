"""``/metrics`` is rendered a few times a second, however many ask."""

from __future__ import annotations

import pytest

from gateway.web import metrics


def test_who_asks_too_often_gets_the_last_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = list[str | None]()

    def render(directory: str | None) -> bytes:
        rendered.append(directory)
        return b"%d" % len(rendered)

    monkeypatch.setattr(metrics, "exposition", render)
    shown = metrics._Shown("workers")
    texts = [shown.text() for _ in range(100)]
    assert 20 <= len(rendered) <= 22
    assert texts == sorted(texts, key=int)
    assert {"workers"} == set(rendered)
