"""What a sender promises of its bytes, wherever it says so, and whether it is true.

Knows that a promise is made of a file, by a part's headers, a form's field or the headers of a raw
body; or of a form as a whole, by the headers of its request. Does not know where any of them is
read.

Rule: they are checked once, by whoever is about to seal the file, and by nobody before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from gateway.model.digest import Claim, check_claims


class Claims:
    """The digests promised for one upload."""

    def __init__(self, *of_form: Claim) -> None:
        """``of_form`` are promises about the whole form, whose bytes ``absorb`` is told of."""
        self._of_form = of_form
        self._hashes = {claim.algorithm: hashlib.new(claim.algorithm) for claim in of_form}
        self._of_file: tuple[Claim, ...] = ()

    @property
    def algorithms(self) -> Collection[str]:
        """In what the file must be hashed to check them, as ``hashlib`` names it."""
        return {claim.algorithm for claim in self._of_file}

    def add(self, *of_file: Claim) -> None:
        """Promises about the file."""
        self._of_file += of_file

    def absorb(self, chunk: bytes) -> None:
        """The next bytes of the form."""
        for hasher in self._hashes.values():
            hasher.update(chunk)

    def check(self, computed: Mapping[str, bytes]) -> None:
        """Raise ``DigestMismatch`` unless all hold; ``computed`` are the file's, by algorithm."""
        check_claims(self._of_form, {name: h.digest() for name, h in self._hashes.items()})
        check_claims(self._of_file, computed)
