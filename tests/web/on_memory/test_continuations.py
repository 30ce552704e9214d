"""What is remembered of downloads that are streams of pieces, and how they are continued."""

from __future__ import annotations

import pytest

from tests.tools.place import Place
from tests.web import test_continuations as suite
from tests.web.test_continuations import *  # noqa: F403 - the same tests, on another store

# They are about bytes that nginx sends by itself.
del test_behind_nginx_a_bare_line_mixes_versions  # noqa: F821
del test_what_nginx_may_have_sent_whole_is_not_remembered  # noqa: F821

del test_what_continues_other_bytes_is_refused  # noqa: F821

# Of a file all is handed to the kernel at once; of a stream only what the client made room for,
# so whoever claims to hold more than that continues nothing.
FAR = ("at its last byte", "as if all had come")
CONTINUED = [
    case for case in suite.CONTINUED if case[0] not in FAR and case[1] is not suite.cut_twice
]


@pytest.mark.parametrize(("_", "deed", "text"), CONTINUED, ids=[case[0] for case in CONTINUED])
async def test_what_continues_other_bytes_of_a_stream_is_refused(
    direct: Place, _: str, deed: suite.Deed, text: str
) -> None:
    await direct.publish(suite.OLD)
    await deed(direct)
    await direct.replace(suite.NEW["larger"])
    for _again in range(2):
        assert 412 == (await suite.asked(direct, suite.ranged(text))).status
