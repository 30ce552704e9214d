"""The image that a deployment serves, fetched once so that every device can be checked."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gateway.fleet.aim import Aim, Refused


@contextlib.contextmanager
def fetched(target: Aim, headers: dict[str, str], *, verify: bool) -> Iterator[Path]:
    """The target's whole file, until the block ends. Raises ``Refused``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        fetch_reference(target, headers, path, verify=verify)
        yield path


def fetch_reference(target: Aim, headers: dict[str, str], path: Path, *, verify: bool) -> None:
    """The target's whole file, written to ``path``.

    Raises ``Refused`` unless it comes with 200, whole, and with the bytes of its Repr-Digest.
    """
    connection = _connection(target, verify=verify)
    try:
        connection.request("GET", target.path, headers={**headers, "Host": target.host})
        answer = connection.getresponse()
        if answer.status != 200:
            raise Refused(f"the server answers {answer.status} to a plain GET")
        digest = hashlib.sha256()
        with path.open("wb") as file:
            while piece := answer.read(1 << 20):
                digest.update(piece)
                file.write(piece)
        _check(answer.getheader("Repr-Digest"), digest.digest())
    except (OSError, http.client.HTTPException) as exc:
        raise Refused(f"the file cannot be fetched: {exc}") from exc
    finally:
        connection.close()


def _connection(target: Aim, *, verify: bool) -> http.client.HTTPConnection:
    if not target.tls:
        return http.client.HTTPConnection(target.address, target.port, timeout=60)
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    name = target.host.rpartition(":")[0] or target.host
    return http.client.HTTPSConnection(name, target.port, timeout=60, context=context)


def _check(header: str | None, digest: bytes) -> None:
    if header is None:
        return
    expected = f"sha-256=:{base64.b64encode(digest).decode()}:"
    if header.startswith("sha-256=") and header != expected:
        raise Refused("the bytes are not those of the Repr-Digest header")
