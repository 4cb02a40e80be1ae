"""API keys: random strings of which the server keeps hashes, and the check of what a client sends.

The file holds one ``name:sha256`` a line. Keys are 256 random bits, so that a plain hash is safe.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from pathlib import Path

from hypecheck.errors import HypeCheckError

_LINE = re.compile(r"(?P<name>[\w.-]{1,64}):(?P<hash>[0-9a-f]{64})\Z")
_NAME = re.compile(r"[\w.-]{1,64}\Z", re.ASCII)
PREFIX = "hype_"


def new_key(name: str) -> tuple[str, str]:
    """Make a key; give it, and the line for the file.

    Raises:
        HypeCheckError: the name is not made of letters, digits, ``.``, ``_`` and ``-``.
    """
    if not _NAME.match(name):
        raise HypeCheckError(f"key name {name!r:.80}: use letters, digits, '.', '_' and '-'")
    key = PREFIX + secrets.token_urlsafe(32)
    return key, f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"


class Keys:
    """The keys that the server accepts.

    Raises:
        HypeCheckError: the file is unreadable, empty, or a line is wrong.
    """

    def __init__(self, path: Path) -> None:
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as e:
            raise HypeCheckError(f"{path}: cannot be read: {e}") from None
        self._hashes: list[tuple[str, bytes]] = []
        for n, line in enumerate(lines, 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            m = _LINE.match(line)
            if not m:
                raise HypeCheckError(
                    f"{path}, line {n}: expected name:sha256, as `hypecheck keys new` prints it"
                )
            self._hashes.append((m["name"], m["hash"].encode()))
        if not self._hashes:
            raise HypeCheckError(f"{path}: holds no key")

    def name_of(self, key: str) -> str | None:
        """Give the name of a key, or None; takes as long whichever it is."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest().encode()
        found = None
        for name, known in self._hashes:
            if hmac.compare_digest(digest, known):
                found = name
        return found
