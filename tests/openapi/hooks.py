"""What schemathesis must know of this API beyond its document. It loads this module itself."""

from __future__ import annotations

import os
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure, MalformedJson
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import ContentDeserializationError

UNREADABLE = (MalformedJson, ContentDeserializationError)
DOWNLOADED = (200, 206)
LONGEST_LINE = 8190
KEPT_KEY = "KEPT_KEY"
"""The variable that has the id of the key that the caller asks with."""


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: Failure,
    case: schemathesis.Case[Any],
    response: Response,
) -> bool:
    """A file is what its sender said it is, so a file "of JSON" need not be JSON.

    An address longer than a line may be never became a request of any API.
    """
    if response.status_code == 400 and len(response.request.url or "") > LONGEST_LINE - 64:
        return False
    is_file = "etag" in response.headers and "repr-digest" in response.headers
    sent = is_file and response.status_code in DOWNLOADED
    return not (sent and isinstance(failure, UNREADABLE))


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case[Any]) -> bool:
    """Whoever revokes the key that they ask with is a stranger for the rest of the run."""
    del context
    ids = (case.path_parameters or {}).values()
    return case.method.upper() != "DELETE" or os.environ.get(KEPT_KEY) not in {
        str(each) for each in ids
    }
