"""SenML packs: measurements in JSON (RFC 8428), resolved into records that stand alone.

Knows the format; does not know who sent a pack, nor where it goes.

Rule: a pack is taken whole or refused whole, and a record that came out of here has a
name, an absolute time and at least one value. Base fields make a small pack large, so what is
bounded is what it says once it is resolved, and no record is made beyond that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, overload

from gateway.model.errors import Malformed, TooLarge

MOST_RECORDS: Final = 10_000
MOST_BYTES: Final = 1024 * 1024
"""Of a pack as it is stored and passed on, about."""
_RECORD_BYTES: Final = 24
VERSION: Final = 10
_RELATIVE: Final = 2.0**28  # RFC 8428 4.5.3: smaller times count from now
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,1023}")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*={0,2}")
_LONGEST: Final = {"vs": 64 * 1024, "u": 255, "bu": 255}
_LONGEST_NAME: Final = 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One measurement. Times in seconds since 1970; ``data`` is base64url, as it came."""

    name: str
    time: float
    unit: str = ""
    value: float | None = None
    string_value: str | None = None
    bool_value: bool | None = None
    data_value: str | None = None
    sum: float | None = None
    update_time: float | None = None


@dataclass(frozen=True, slots=True)
class _Base:
    """What the records so far have set for those that follow (RFC 8428 4.1)."""

    name: str = ""
    time: float = 0.0
    unit: str = ""
    value: float | None = None
    sum: float | None = None

    def after(self, item: Mapping[str, Any]) -> _Base:
        return replace(
            self,
            name=_text(item, "bn", self.name),
            time=_number(item, "bt", self.time),
            unit=_text(item, "bu", self.unit),
            value=_number(item, "bv", self.value),
            sum=_number(item, "bs", self.sum),
        )


def parse_pack(pack: object, *, now: float) -> list[Record]:
    """The records of a pack that was read from JSON, in its order, without base fields.

    ``now`` is what relative times count from. Raises ``Malformed`` and, for more than
    ``MOST_RECORDS`` or ``MOST_BYTES``, ``TooLarge``.
    """
    if not isinstance(pack, list) or not pack:
        raise Malformed("a SenML pack is a JSON array with at least one record")
    if len(pack) > MOST_RECORDS:
        raise TooLarge(f"a SenML pack has at most {MOST_RECORDS} records")
    base, records, size = _Base(), list[Record](), 0
    for item in pack:
        if not isinstance(item, dict):
            raise Malformed("a SenML record is a JSON object")
        _check_labels(item)
        base = base.after(item)
        records.append(_resolve(item, base, now))
        size += _size_of(records[-1])
        if size > MOST_BYTES:
            raise TooLarge(f"a SenML pack has at most {MOST_BYTES} bytes when it is resolved")
    _check_versions(pack)
    return records


def _size_of(record: Record) -> int:
    texts = (record.name, record.unit, record.string_value, record.data_value)
    return _RECORD_BYTES + sum(len(text.encode()) for text in texts if text)


def shown_pack(records: Iterable[Record]) -> list[dict[str, object]]:
    """The records as a resolved pack, in the order of time (RFC 8428 4.6)."""
    return [_shown(record) for record in sorted(records, key=lambda record: record.time)]


def _shown(record: Record) -> dict[str, object]:
    labels: dict[str, object] = {
        "n": record.name,
        "u": record.unit or None,
        "t": record.time,
        "v": record.value,
        "vs": record.string_value,
        "vb": record.bool_value,
        "vd": record.data_value,
        "s": record.sum,
        "ut": record.update_time,
    }
    return {label: value for label, value in labels.items() if value is not None}


def _resolve(item: Mapping[str, Any], base: _Base, now: float) -> Record:
    value, total = _number(item, "v"), _number(item, "s")
    others = [label for label in ("vs", "vb", "vd") if item.get(label) is not None]
    if len(others) + (value is not None) > 1:
        raise Malformed("a SenML record has one value")
    if not others:
        value = _added(base.value, value)
    total = _added(base.sum, total)
    if value is None and total is None and not others:
        raise Malformed("a SenML record has no value")
    return Record(
        name=_check_name(base.name + _text(item, "n")),
        time=_resolved_time(base.time + _number(item, "t", 0.0), now),
        unit=_text(item, "u") or base.unit,
        value=value,
        string_value=_text(item, "vs") if "vs" in others else None,
        bool_value=_flag(item, "vb"),
        data_value=_base64url(item, "vd"),
        sum=total,
        update_time=_update_time(item),
    )


def _added(base: float | None, value: float | None) -> float | None:
    """The two added, a missing one being zero; ``None`` if both are missing (4.5.4)."""
    if base is None or value is None:
        return base if value is None else value
    return _finite(base + value)


def _resolved_time(time: float, now: float) -> float:
    return _finite(time if time >= _RELATIVE else now + time)


def _update_time(item: Mapping[str, Any]) -> float | None:
    seconds = _number(item, "ut")
    if seconds is not None and seconds < 0:
        raise Malformed("a SenML update time is negative")
    return seconds


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Malformed("a SenML name is missing, or has other characters than A-Za-z0-9-:./_")
    return name


def _check_labels(item: Mapping[str, Any]) -> None:
    """Refuse what only a reader who understands it may take (RFC 8428 4.4)."""
    if any(label.endswith("_") for label in item):
        raise Malformed("a SenML label that must be understood is not")


def _check_versions(pack: Iterable[Mapping[str, Any]]) -> None:
    """One version for the whole pack (RFC 8428 4.4)."""
    stated = {_version(item["bver"]) for item in pack if item.get("bver") is not None}
    if len(stated) > 1:
        raise Malformed("a SenML pack has one version")


def _version(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= VERSION:
        raise Malformed(f"a SenML version is an integer from 1 to {VERSION}")
    return value


@overload
def _number(item: Mapping[str, Any], label: str, default: float) -> float: ...
@overload
def _number(item: Mapping[str, Any], label: str, default: float | None = None) -> float | None: ...
def _number(item: Mapping[str, Any], label: str, default: float | None = None) -> float | None:
    value = item.get(label)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"SenML {label} is not a number")
    try:
        return _finite(float(value))
    except OverflowError as exc:
        raise Malformed("a SenML number is too large") from exc


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Malformed("a SenML number is too large")
    return value


def _text(item: Mapping[str, Any], label: str, default: str = "") -> str:
    value = item.get(label)
    if value is None:
        return default
    if not isinstance(value, str):
        raise Malformed(f"SenML {label} is not a string")
    if len(value) > _LONGEST.get(label, _LONGEST_NAME):
        raise Malformed(f"SenML {label} is too long")
    return value


def _flag(item: Mapping[str, Any], label: str) -> bool | None:
    value = item.get(label)
    if value is not None and not isinstance(value, bool):
        raise Malformed(f"SenML {label} is not a boolean")
    return value


def _base64url(item: Mapping[str, Any], label: str) -> str | None:
    value = item.get(label)
    if value is None:
        return None
    if not isinstance(value, str) or not _BASE64URL.fullmatch(value):
        raise Malformed(f"SenML {label} is not base64url")
    return value
