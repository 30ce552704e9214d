"""A user file as the API shows it, as its row keeps it, and as a client describes it.

The row's id is the ``ThingUUID``, which is its name, too: users' names for their files are not
unique, nor are their GUIDs. Everything else that is peculiar to the product is in ``attributes``.

Rule: what a client says is checked here, whole, before anything is changed. What it does not say
stays as it is; what it says and nobody knows is ignored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from gateway.dialects.gravwell.sniffing import EMPTY
from gateway.model.errors import Malformed
from gateway.model.file import FileRecord
from gateway.model.label import check_label

SHARING: Final = ("gids", "global", "write_gids", "write_global")
"""The attributes that say who else may read and write."""

_NAME_BYTES: Final = 255
_MOST_GROUPS: Final = 100
_MOST_LABELS: Final = 100
_INT32: Final = range(2**31)
_NIL: Final = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Meta:
    """What a client says of a file; ``None`` is what it does not say.

    Of the GUID and the UID, 0 is not said, either.
    """

    guid: UUID | None = None
    uid: int | None = None
    name: str | None = None
    desc: str | None = None
    is_global: bool | None = None
    gids: tuple[int, ...] | None = None
    labels: tuple[str, ...] | None = None
    write_gids: tuple[int, ...] | None = None
    write_global: bool | None = None

    @property
    def groups(self) -> frozenset[int]:
        """Every group that is to be given something."""
        return frozenset((*(self.gids or ()), *(self.write_gids or ())))

    @property
    def opens_to_all(self) -> bool:
        """Whether something is given to everybody."""
        return bool(self.is_global or self.write_global)

    def attributes(self) -> dict[str, Any]:
        """What changes of the row's attributes; the owner and the GUID do not."""
        said = {
            "name": self.name,
            "desc": self.desc,
            "global": self.is_global,
            "gids": self.gids,
            "labels": self.labels,
            "write_gids": self.write_gids,
            "write_global": self.write_global,
        }
        return {key: value for key, value in said.items() if value is not None}


def meta_of(said: object) -> Meta:
    """What the JSON says, of a form's ``meta`` or of a PATCH. Raises ``Malformed``."""
    if not isinstance(said, dict):
        raise Malformed("the description of a file is a JSON object")
    write = said.get("WriteAccess")
    if write is not None and not isinstance(write, dict):
        raise Malformed("WriteAccess is an object")
    return Meta(
        guid=guid_of(said.get("GUID")),
        uid=_number(said.get("UID"), "UID") or None,
        name=_name(said.get("Name")),
        desc=_desc(said.get("Desc")),
        is_global=_truth(said.get("Global"), "Global"),
        gids=_groups(said, "GIDs"),
        labels=_labels(said),
        write_gids=_groups(write, "GIDs") if write else None,
        write_global=_truth(write.get("Global"), "WriteAccess.Global") if write else None,
    )


def simple_meta(fields: Mapping[str, str]) -> Meta:
    """What a form without ``meta`` says in fields of its own. Raises ``Malformed``."""
    return Meta(
        guid=guid_of(fields.get("guid") or None),
        name=_name(fields.get("name")),
        desc=_desc(fields.get("desc")),
    )


def guid_of(value: object) -> UUID | None:
    """A GUID; ``None`` for none, and for the one that is all zeros. Raises ``Malformed``."""
    if value is None:
        return None
    try:
        guid = UUID(value) if isinstance(value, str) and len(value) == 36 else None
    except ValueError:
        guid = None
    if guid is None:
        raise Malformed("malformed GUID")
    return None if guid == _NIL else guid


def new_attributes(meta: Meta, guid: UUID, filename: str) -> dict[str, Any]:
    """The attributes of a new file; ``filename`` is its name if the client gives none."""
    unsaid = {
        "name": _name(filename) or "",
        "desc": "",
        "global": False,
        "gids": (),
        "labels": (),
        "write_gids": (),
        "write_global": False,
    }
    return {"guid": str(guid), **unsaid, **meta.attributes()}


def changed_by(meta: Meta, record: FileRecord) -> dict[str, Any]:
    """What of the record's attributes is to be another.

    Clients send records whole: what one did not change must not undo what another changed since.
    """
    now = record.attributes
    return {
        key: value
        for key, value in meta.attributes().items()
        if value != (tuple(now[key]) if isinstance(value, tuple) else now[key])
    }


def groups_of(record: FileRecord) -> frozenset[int]:
    """Every group that has been given something."""
    return frozenset((*record.attributes["gids"], *record.attributes["write_gids"]))


def shown(record: FileRecord, uid: int) -> Mapping[str, object]:
    """The record as ``UserFileDetails``; ``uid`` is the number of whoever owns it."""
    attributes, size = record.attributes, record.content.size
    return {
        "GUID": attributes["guid"],
        "ThingUUID": str(record.id),
        "UID": uid,
        "GIDs": attributes["gids"] or None,
        "Global": attributes["global"],
        "WriteAccess": {
            "Global": attributes["write_global"],
            "GIDs": attributes["write_gids"],
        },
        "Size": size,
        "Type": record.content_type if size else EMPTY,
        "SHA256": record.content.digest.hex,
        "Name": attributes["name"],
        "Desc": attributes["desc"],
        "Updated": record.updated_at.isoformat(timespec="microseconds"),
        "Labels": attributes["labels"],
    }


def is_shared_with(record: FileRecord, groups: Collection[int]) -> bool:
    """Whether members of one of these groups, or everybody, may see the file."""
    attributes = record.attributes
    return bool(attributes["global"]) or not set(attributes["gids"]).isdisjoint(groups)


def is_writable_for(record: FileRecord, groups: Collection[int]) -> bool:
    """Whether members of one of these groups, or everybody, may change what is in the file."""
    attributes = record.attributes
    return bool(attributes["write_global"]) or not set(attributes["write_gids"]).isdisjoint(groups)


def _name(value: object) -> str | None:
    if value is None:
        return None
    name = check_label(value, "Name")
    if len(name.encode()) > _NAME_BYTES:
        raise Malformed(f"Name is longer than {_NAME_BYTES} bytes")
    return name


def _desc(value: object) -> str | None:
    return None if value is None else check_label(value, "Desc", lines=True)


def _truth(value: object, field: str) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise Malformed(f"{field} is true or false")
    return value


def _number(value: object, field: str) -> int:
    """A user's or a group's number, 0 for null. Raises ``Malformed`` beyond 32 bits."""
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value not in _INT32:
        raise Malformed(f"{field} is a whole number of 32 bits")
    return value


def _groups(said: Mapping[str, object], field: str) -> tuple[int, ...] | None:
    if field not in said:
        return None
    items = _items(said[field], field, _MOST_GROUPS)
    return tuple(dict.fromkeys(_number(item, field) for item in items))


def _labels(said: Mapping[str, object]) -> tuple[str, ...] | None:
    if "Labels" not in said:
        return None
    items = _items(said["Labels"], "Labels", _MOST_LABELS)
    if not all(isinstance(item, str) for item in items):
        raise Malformed("Labels is a list of strings")
    return tuple(check_label(item, "Labels") for item in items)


def _items(value: object, field: str, most: int) -> Iterable[object]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise Malformed(f"{field} is a list")
    if len(value) > most:
        raise Malformed(f"{field} has more than {most} entries")
    return value
