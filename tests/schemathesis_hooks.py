"""What schemathesis lacks: how JSON Lines are sent."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """Send a string as it is."""
    return str(value).encode("utf-8", "replace")
