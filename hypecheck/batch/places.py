"""Where inputs lie and results go: files of this machine, or objects in a store.

A place is named by a path or by a URL that Arrow knows: ``s3://``, ``gs://``, ``hdfs://``,
``file://``. Credentials are found as the stores' own tools find them (environment, profile, role).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hypecheck.errors import HypeCheckError, InputError

_SMALL_FILES = 1_000  # of a unit, at most
_SMALL = 4_000_000  # bytes of the files that are read as one unit


def is_url(name: str) -> bool:
    """Say whether a name is a URL and no path of this machine.

    >>> is_url("s3://bucket/ads.jsonl"), is_url("ads.jsonl")
    (True, False)
    """
    scheme, found, _ = name.partition("://")
    return bool(found) and scheme.isalnum()


@dataclass(frozen=True, slots=True)
class Place:
    """A file or an object: its name, and what tells one state of it from another.

    Attributes:
        name: path or URL.
        size: bytes; None where it cannot be told.
        changed: when, in nanoseconds; None where it cannot be told.
    """

    name: str
    size: int | None = None
    changed: int | None = None

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open it for reading; it can be sought in."""
        if is_url(self.name):
            store, path = _store(self.name)
            with store.open_input_file(path) as file:
                yield file
        else:
            with Path(self.name).open("rb") as raw:
                yield raw


def found(name: str, wanted: Callable[[str], bool]) -> list[Place]:
    """Give the file called ``name``, or of a folder all that are ``wanted``, sorted.

    What is not there is given all the same: reading it says so.
    """
    if is_url(name):
        return _found_in_store(name, wanted)
    path = Path(name)
    files = [path]
    if os.path.isdir(path):  # noqa: PTH112 (False where pathlib raises: no permission)
        files = [p for p in sorted(path.rglob("*")) if wanted(p.name) and p.is_file()]
    return [_local(p) for p in files]


def _local(path: Path) -> Place:
    try:
        stat = path.stat()
    except OSError:
        return Place(str(path))
    return Place(str(path), stat.st_size, stat.st_mtime_ns)


def _found_in_store(name: str, wanted: Callable[[str], bool]) -> list[Place]:
    import pyarrow.fs as stores

    store, path = _store(name)
    try:
        info = store.get_file_info(path)
        if info.type != stores.FileType.Directory:
            return [Place(name, info.size, info.mtime_ns)]
        infos = store.get_file_info(stores.FileSelector(path, recursive=True))
    except OSError as e:
        raise InputError(f"{name}: {e}") from None
    # The name that the user gave, up to the folder: scheme and options stay.
    address, _, options = name.partition("?")
    return [
        Place(_joined(address, i.path[len(path.rstrip("/")) :], options), i.size, i.mtime_ns)
        for i in sorted(infos, key=lambda i: i.path)
        if i.type == stores.FileType.File and wanted(i.base_name)
    ]


def _joined(address: str, rest: str, options: str) -> str:
    return address.rstrip("/") + rest + (f"?{options}" if options else "")


def _store(name: str) -> tuple[Any, str]:
    import pyarrow as pa
    import pyarrow.fs as stores

    try:
        store, path = stores.FileSystem.from_uri(name)
    except (pa.ArrowException, OSError, ValueError) as e:
        raise HypeCheckError(f"{name}: not a URL that can be read: {e}") from None
    return store, path


def store(local: Path, name: str) -> None:
    """Copy a file, or the files of a folder, to a place in a store.

    Raises:
        InputError: it cannot be written there.
    """
    import pyarrow.fs as stores

    target, path = _store(name)
    pairs = [(local, path)]
    if local.is_dir():
        pairs = [(p, f"{path.rstrip('/')}/{p.name}") for p in sorted(local.iterdir())]
    try:
        target.create_dir(path if local.is_dir() else str(Path(path).parent), recursive=True)
        for source, to in pairs:
            stores.copy_files(str(source), to, stores.LocalFileSystem(), target)
    except OSError as e:
        raise InputError(f"{name}: cannot be written: {e}") from None


def units(places: list[Place]) -> list[list[Place]]:
    """Cut inputs into what is read by itself: a large file, or small ones that follow each other.

    Where depends on names and sizes alone.
    """
    out: list[list[Place]] = []
    size = 0
    for place in places:
        own = place.size or 0
        if not out or size + own > _SMALL or len(out[-1]) >= _SMALL_FILES:
            out.append([])
            size = 0
        out[-1].append(place)
        size += own
    return out
