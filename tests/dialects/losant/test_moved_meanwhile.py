"""A file that is moved while somebody is at its old id: that id is gone, and the file stays (suite E found it).

What is asked of the old id has found the file already; the move comes between that and the change.
"""

from __future__ import annotations

import pytest

from gateway.dialects.losant.files import PrivateFiles
from gateway.model.access import Access
from gateway.model.file import FileRecord
from tests.dialects.losant.conftest import Owner


@pytest.mark.parametrize(
    ("method", "body"), [("DELETE", ...), ("PATCH", {"fileSize": 5})], ids=["removed", "replaced"]
)
async def test_the_old_id_of_a_file_that_has_moved_is_nobodys(
    owner: Owner, monkeypatch: pytest.MonkeyPatch, method: str, body: object
) -> None:
    old = await owner.file("a.bin")
    find, moved = PrivateFiles.find, list[str]()

    async def found_and_moved(files: PrivateFiles, access: Access) -> FileRecord:
        record = await find(files, access)
        if not moved:
            moved.append("now")
            said = await owner.ask("POST", f"/{old}/move?name=b.bin")
            assert said.status == 201
            moved.append(str(said.json["id"]))
        return record

    monkeypatch.setattr(PrivateFiles, "find", found_and_moved)
    assert (await owner.ask(method, f"/{old}", body)).status == 404
    assert await owner.paths() == ["/b.bin"]
    [there] = await owner.all()
    assert (there["id"], there["status"]) == (moved[1], "completed")
