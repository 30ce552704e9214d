"""The classes and formats that the Mainflux filestore derives from a file's extension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_EXTENSIONS: Final[Mapping[str, str]] = {
    "images": "jpg jpeg png svg",
    "documents": "pdf csv txt doc docx odt odf odp ods xls xlsx ppt pptx xps",
    "BIM": "ifc",
    "pointclouds": "e57",
    "binaries": "bin",
}
_CLASS_OF: Final = {
    extension: name for name, extensions in _EXTENSIONS.items() for extension in extensions.split()
}
_OTHER: Final = "other"


def format_of(name: str) -> str:
    """The extension in lower case, or ``""``."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""


def class_of(name: str) -> str:
    """The class of the extension; ``other`` for those that Mainflux would refuse."""
    return _CLASS_OF.get(format_of(name), _OTHER)
