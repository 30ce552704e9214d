"""E-mail addresses as identities: which ones there can be, and how they are found again.

Two addresses that look alike must not be two accounts. So a new one is compared in one form (NFC,
folded), and is refused if it has what nobody sees or what stands for another letter. Accounts that
were made before that rule are found under the form that was kept then.

Rule: an address is refused, never made into another that its owner did not write, but for case and
the order of accents.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from gateway.model.errors import Malformed

_CHARACTER: Final = r"[^@\s\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_EMAIL: Final = re.compile(f"{_CHARACTER}{{1,64}}@{_CHARACTER}{{1,189}}")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
# Scripts whose letters are taken for each other's; what is of none of these goes with all.
_CONFUSED: Final = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")


def check_email(email: object) -> str:
    """The address of a new account, in the form in which it is kept. Raises ``Malformed``."""
    folded = check_written(email)
    if _stands_for_another(str(email)) or _has_unseen(folded):
        raise Malformed("malformed e-mail address: it has a character that stands for another")
    if any(len(_scripts(label)) > 1 for label in re.split(r"[@.]", folded)):
        raise Malformed("malformed e-mail address: it mixes letters of several scripts")
    return folded


def check_written(email: object) -> str:
    """The folded form of what looks like an address at all. Raises ``Malformed``."""
    if not isinstance(email, str) or not _EMAIL.fullmatch(email):
        raise Malformed("malformed e-mail address")
    return _folded(email)


def forms_of(email: str) -> Sequence[str]:
    """The forms under which an account may be kept, the likeliest first: as now, and as before."""
    return tuple(dict.fromkeys((email.lower(), _folded(email))))


def domain_of(email: str) -> str:
    """What is behind the ``@``."""
    return email.rpartition("@")[2]


def _folded(email: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", email).casefold())


def _stands_for_another(text: str) -> bool:
    """Whether a character is another one, by itself: a Kelvin sign, a wide letter, a ligature."""
    return any(unicodedata.normalize("NFKC", c) != c for c in text)


def _has_unseen(text: str) -> bool:
    return any(unicodedata.category(c) in _UNSEEN for c in text)


def _scripts(label: str) -> set[str]:
    names = (unicodedata.name(c, "") for c in label if c.isalpha())
    return {script for name in names for script in _CONFUSED if name.startswith(script)}
