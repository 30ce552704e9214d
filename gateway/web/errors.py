"""What can be wrong with a request as HTTP: the refusals that only make sense here.

They join the family of ``model.errors``, which knows no HTTP.
"""

from __future__ import annotations

from gateway.model.errors import Malformed, NotFound, Refusal


class MissingField(Malformed):
    """A required header, parameter or form part is absent.

    ``place`` is ``"header"``, ``"parameter"`` or ``"part"``; ``field`` its name.
    """

    def __init__(self, place: str, field: str) -> None:
        super().__init__(f"missing {place}: {field}")
        self.place = place
        self.field = field


class UnsupportedMedia(Refusal):
    """The content type or content coding is not accepted here."""

    sentence = "unsupported content type"


class NoRoute(NotFound):
    """No resource has this path."""

    sentence = "not found"


class WrongMethod(Refusal):
    """The resource exists but not with this method; ``allowed`` lists those it has."""

    sentence = "method not allowed"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__()
        self.allowed = allowed


class ExpectationFailed(Refusal):
    """An Expect header other than 100-continue."""

    sentence = "expectation failed"
