"""What takes long to make and comes out the same, kept between runs in the user's cache folder.

A kept thing is named by the digest of all that it is made of, so that it is never out of date; a
damaged one is made anew, and where nothing can be written nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FORMAT = 1  # of the files; to be counted up when it changes
_ARRAY = "\0array"  # the key that stands for an array; no other dict has it
_OLD = 90 * 24 * 3600  # seconds
_ALIGN = 64  # bytes: where an array may begin


def kept(name: str, make: Callable[[], Any]) -> Any:
    """Give what ``make`` gives, from the cache if it is there.

    Args:
        name: of the file, ``kind-digest``, the digest being that of the sources.
        make: gives dicts (with text keys), lists, texts, numbers, None, and as leaves ``array``s
            and NumPy arrays. Out of the cache tuples are lists.
    """
    place: Path | None = None
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: no home
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        place = Path(home) / "hypecheck" / name
        with contextlib.suppress(ValueError):
            return _load(place.read_bytes())
    made = make()
    if place is not None:
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            beside = place.with_name(f"{place.name}.{os.getpid()}")
            beside.write_bytes(_dump(made))
            beside.replace(place)
            _clear(place)
    return made


def _clear(place: Path) -> None:
    """Delete what was kept of older sources, if that is long ago."""
    kind, _, _ = place.name.rpartition("-")
    for other in place.parent.glob(f"{kind}-*") if kind else ():
        if time.time() - other.stat().st_mtime > _OLD:
            other.unlink(missing_ok=True)


def _dump(made: Any) -> bytes:
    """Write a line of JSON, the arrays that it points to, and a digest of both."""
    items = bytearray()

    def flat(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: flat(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [flat(v) for v in value]
        if isinstance(value, array):
            kind: list[Any] = ["array", value.typecode, len(value)]
        elif hasattr(value, "dtype"):
            kind = ["numpy", value.dtype.str, list(value.shape)]
        else:
            return value
        items.extend(bytes(-len(items) % _ALIGN))
        kind.append(len(items))
        items.extend(value.tobytes())
        return {_ARRAY: kind}

    head = json.dumps([_FORMAT, sys.byteorder, flat(made)]).encode()
    head += b" " * (-(len(head) + 1) % _ALIGN) + b"\n"
    body = head + bytes(items)
    return body + hashlib.sha256(body).digest()


def _load(raw: bytes) -> Any:
    """Read what :func:`_dump` wrote.

    Raises:
        ValueError: it is damaged, or another version's or machine's.
    """
    body = memoryview(raw)[:-32]
    if hashlib.sha256(body).digest() != raw[-32:]:
        raise ValueError("damaged")
    start = raw.index(b"\n") + 1

    def whole(value: dict[str, Any]) -> Any:
        if _ARRAY not in value:
            return value
        library, code, size, at = value[_ARRAY]
        if library == "numpy":
            import numpy as np

            # A copy: a view would keep the whole file in memory.
            return np.frombuffer(body, code, math.prod(size), start + at).reshape(size).copy()
        out = array(code)
        out.frombytes(body[start + at : start + at + size * out.itemsize])
        return out

    form, order, made = json.loads(raw[:start], object_hook=whole)
    if (form, order) != (_FORMAT, sys.byteorder):
        raise ValueError("of another version or machine")
    return made
