"""What a new user sees on the terminal: who they are, and lines to paste."""

from __future__ import annotations

from pathlib import Path

from gateway.identity.records.users import NewAdmin

_LINES = """\
# Get a token
TOKEN=$(curl -s -X POST {url}/tokens -H 'Content-Type: application/json' \\
  -d '{{"email":"{email}","password":"{password}"}}' | sed 's/.*"token":"\\([^"]*\\)".*/\\1/')

# Make a thing (a device) and take its key
KEY=$(curl -s -X POST {url}/things -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: application/json' -d '[{{"name":"device-1"}}]' \\
  | sed 's/.*"key":"\\([^"]*\\)".*/\\1/')

# Make a group and take its id
GROUP=$(curl -s -i -X POST {url}/groups -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: application/json' -d '{{"name":"fleet-1"}}' \\
  | tr -d '\\r' | sed -n 's|^Location: /groups/||Ip')

# Upload a file, list, download it
head -c 1000000 /dev/urandom > firmware.bin
curl -i -H "Authorization: Thing $KEY" -F 'file=@firmware.bin' {url}{prefix}/files
curl -s -H "Authorization: Thing $KEY" {url}{prefix}/files
curl -s -H "Authorization: Thing $KEY" {url}{prefix}/files/firmware.bin | cmp - firmware.bin

# The same for the group
curl -i -H "Authorization: Bearer $TOKEN" -F 'file=@firmware.bin' {url}{prefix}/groups/$GROUP/files
curl -s -H "Authorization: Bearer $TOKEN" {url}{prefix}/groups/$GROUP/files
"""


def banner(url: str, prefix: str, admin: NewAdmin | None, file: Path | None = None) -> str:
    """The text for whoever starts it; a generated password appears here, or only in ``file``."""
    if admin is None:
        return f"Filestore Gateway on {url}\n"
    password = admin.password or "<the password you set>"
    shown = typed = password
    if file is not None:
        shown, typed = f"in {file}, for you alone", f"'\"$(cat {file})\"'"
    lines = _LINES.format(url=url, prefix=prefix, email=admin.email, password=typed)
    return (
        f"Filestore Gateway on {url}\n\n"
        f"First administrator: {admin.email}\n"
        f"Password:            {shown}\n\n{lines}"
    )
