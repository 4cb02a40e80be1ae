"""A scan on Daft: the same parts, checked by the same function, on this machine or a Ray cluster.

The inputs are cut as they are on one machine (:func:`hypecheck.batch.places.units`, then parts), so
that a part holds the same records wherever it is made. A task reads one unit and checks every
``of``-th part of it, with all cores of its node; its tables come back to the process that asked,
which keeps them as they come and ends as a scan on one machine does. A node that dies costs its
tasks, which Daft gives to another, or which are asked again; a leader that dies goes on with the
parts it has.

Daft's pools of actors are not used: they wait for ever for one whose node died (Daft 0.7).
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Neither is to tell anybody what is done here, nor to draw over the command's own progress.
os.environ.setdefault("DAFT_ANALYTICS_ENABLED", "0")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import daft
import pyarrow as pa
import pyarrow.compute as pc
from daft import DataType

from hypecheck.batch import parts, places, readers
from hypecheck.batch.places import Place
from hypecheck.batch.records import Item
from hypecheck.batch.scan import (
    InterruptedScanError,
    Plan,
    Run,
    check,
    name,
    start_pool,
    stopping,
)
from hypecheck.errors import HypeCheckError

_SLICE = 4_000_000  # bytes of input that are worth a task
_SLICES = 16  # of a unit, at most: each reads all of it
_TASKS_A_CORE = 4
_ROUNDS = 3  # that give nothing, before a scan gives up
_TABLE = DataType.struct({"k": DataType.int64(), "table": DataType.binary()})
_ANSWER = DataType.struct(
    {
        "count": DataType.int64(),  # parts of the whole unit
        "tables": DataType.list(_TABLE),
        "said": DataType.list(DataType.string()),
    }
)


class LostError(Exception):
    """A query failed; what it had not yet answered is to be asked again."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One task: of a unit every ``of``-th part from ``at`` on, but for those that are done."""

    unit: int
    files: tuple[Place, ...]
    at: int
    of: int
    done: frozenset[int]


def run(scan: Run, address: str | None) -> list[str]:
    """Have everything checked that is not yet there; give the names of all parts in order.

    Args:
        scan: the scan under way; its folder holds the parts.
        address: of a Ray cluster; None to work on this machine.

    Raises:
        HypeCheckError: standard input, or the cluster cannot be reached or gives up.
        InputError: too many errors.
        InterruptedScanError: Ctrl-C.
    """
    if "-" in scan.plan.inputs:
        raise HypeCheckError("standard input is read by --engine local only")
    cores = _connect(address)
    units = places.units(readers.expand(scan.plan.inputs))
    counts = _counts(scan.folder)
    open_ = [u for u in range(len(units)) if u not in counts]
    slices = [s for u in open_ for s in _slices(u, units[u], len(open_), cores, scan.folder)]
    so_far = scan.so_far
    so_far.size = sum(p.size or 0 for unit in units for p in unit)
    so_far.read = so_far.began = sum(p.size or 0 for u in counts for p in units[u])
    so_far.parts = so_far.resumed = len(list(scan.folder.glob("*.arrow")))
    missing = Counter(s.unit for s in slices)
    left = dict(enumerate(slices))
    idle = 0  # rounds in a row that gave nothing
    with stopping() as stop:
        while left:
            before = len(left)
            try:
                for n, answer in _answers(left, scan):
                    s = left.pop(n)
                    _keep(s, answer, scan)
                    counts[s.unit] = answer["count"]
                    missing[s.unit] -= 1
                    if not missing[s.unit]:
                        _whole(scan.folder, s.unit, answer["count"])
                    so_far.read += sum(p.size or 0 for p in s.files) // s.of
                    scan.progress(so_far)
                    scan.refuse_errors()
                    if stop():
                        break
            except LostError as e:
                idle = 0 if len(left) < before else idle + 1
                if idle == _ROUNDS:
                    raise HypeCheckError(
                        f"the cluster gave up: {e}; what is done is kept: run the same command "
                        "again"
                    ) from e
                if not stop():
                    scan.tell(f"the cluster lost work and does it again: {e}")
            if stop():
                raise InterruptedScanError(
                    f"stopped; {so_far.parts} parts are kept, the same command goes on from there"
                )
    names = [name(u, k) for u in range(len(units)) for k in range(counts[u])]
    _number(scan.folder, names)
    return names


def _connect(address: str | None) -> int:
    """Choose what Daft works on; give how many cores that has."""
    if address is None:
        daft.set_runner_native()
        return len(os.sched_getaffinity(0))
    import ray

    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        if host and port.isdigit():  # Ray itself would go on knocking for minutes
            socket.create_connection((host, int(port)), timeout=10).close()
        if not ray.is_initialized():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        daft.set_runner_ray(address, noop_if_initialized=True)
    except (OSError, RuntimeError, ValueError) as e:
        raise HypeCheckError(f"no Ray cluster at {address}: {e}") from None
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _slices(
    unit: int, files: Sequence[Place], units: int, cores: int, folder: Path
) -> Iterator[Slice]:
    size = sum(p.size or 0 for p in files)
    wanted = -(-_TASKS_A_CORE * cores // units)  # so many are needed to keep all cores at work
    of = max(1, min(size // _SLICE, wanted, _SLICES))
    found = folder.glob(f"{unit:06d}-*.arrow")
    done = frozenset(int(p.stem.partition("-")[2]) for p in found)
    for at in range(of):
        yield Slice(unit, tuple(files), at, of, frozenset(k for k in done if k % of == at))


def _answers(slices: Mapping[int, Slice], scan: Run) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the answers to slices as they come, each with the slice's number.

    Raises:
        LostError: the query failed. Daft gives a dead node's tasks to another, but fails when what
            one of them had answered went with the node.
    """
    tasks = {"n": list(slices), "slice": [pickle.dumps(s) for s in slices.values()]}
    frame = daft.from_pydict(tasks).into_partitions(len(slices))
    scanner: Any = _Scanner(scan.plan, scan.workers)
    frame = frame.select(frame["n"], scanner.scan(frame["slice"]).alias("answer"))
    try:
        for row in frame.iter_rows():
            yield row["n"], row["answer"]
    except HypeCheckError:
        raise
    except Exception as e:  # Daft and Ray raise what their workers raised, in many wrappings
        said = str(e).strip().splitlines()
        raise LostError(said[-1] if said else type(e).__name__) from e


def _keep(s: Slice, answer: dict[str, Any], scan: Run) -> None:
    for message in answer["said"]:
        scan.tell(message)
    so_far = scan.so_far
    for part in answer["tables"]:
        table = pa.ipc.open_stream(part["table"]).read_all()
        parts.write(table, scan.folder / name(s.unit, part["k"]))
        so_far.parts += 1
        so_far.records += len(table)
        bad = table.filter(pc.field("status") == "error").select(["place", "error"])
        so_far.errors += len(bad)
        shown = [f"{r['place']}: {r['error']}" for r in bad.slice(max(0, len(bad) - 5)).to_pylist()]
        so_far.examples = [*so_far.examples, *shown][-5:]
        so_far.characters += pc.sum(table.column("characters")).as_py() or 0


def _counts(folder: Path) -> dict[int, int]:
    """Give the units that are whole in the folder, and how many parts each has."""
    return {int(p.stem): int(p.read_text("ascii")) for p in folder.glob("*.whole")}


def _whole(folder: Path, unit: int, count: int) -> None:
    path = folder / f"{unit:06d}.whole"
    beside = path.with_suffix(".new")
    beside.write_text(str(count), "ascii")
    beside.replace(path)


def _number(folder: Path, names: Sequence[str]) -> None:
    """Number the records through: a task knows only how many came before in its unit."""
    first = 0
    for n in names:
        path = folder / n
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
            if len(table) and table.column("number")[0].as_py() != first:
                numbers = pa.array(range(first, first + len(table)), pa.int64())
                parts.write(table.set_column(0, "number", numbers), path)
            first += len(table)


# On the nodes


@daft.cls
class _Scanner:
    """What a task does. Daft keeps one on each node; tasks of a node share its processes."""

    def __init__(self, plan: Plan, workers: int) -> None:
        self._plan = plan
        self._workers = workers

    @daft.method.batch(return_dtype=_ANSWER, batch_size=1)
    def scan(self, slices: daft.Series) -> list[dict[str, Any]]:
        """Give the tables of some slices."""
        return [_scan(self._plan, pickle.loads(s), self._workers) for s in slices.to_pylist()]


def _scan(plan: Plan, s: Slice, workers: int) -> dict[str, Any]:
    pool = _pool(plan, workers)
    said: list[str] = []
    ask = plan.ask(said.append)
    waiting: list[tuple[int, Future[bytes]]] = []
    tables: list[dict[str, Any]] = []
    count = first = 0
    for items in parts.cut(readers.read_places(s.files, ask)):
        if count % s.of == s.at and count not in s.done:
            waiting.append((count, pool.submit(_packed, items, first)))
        if len(waiting) > 8:
            k, future = waiting.pop(0)
            tables.append({"k": k, "table": future.result()})
        count += 1
        first += len(items)
    tables += [{"k": k, "table": future.result()} for k, future in waiting]
    return {"count": count, "tables": tables, "said": said if s.at == 0 else []}


_POOL: tuple[Plan, ProcessPoolExecutor] | None = None
_LOCK = threading.Lock()


def _pool(plan: Plan, workers: int) -> ProcessPoolExecutor:
    """Give this node's processes; another scan's are let go."""
    global _POOL
    with _LOCK:
        if _POOL is None or _POOL[0] != plan:
            if _POOL is not None:
                _POOL[1].shutdown(wait=False)
            _POOL = plan, start_pool(plan, workers or _cores())
        return _POOL[1]


def _cores() -> int:
    """Give how many cores Ray counts on this node, or without Ray this machine has."""
    import ray

    if ray.is_initialized():
        own = ray.get_runtime_context().get_node_id()
        for node in ray.nodes():
            if node["NodeID"] == own:
                return max(1, int(node["Resources"].get("CPU", 1)))
    return len(os.sched_getaffinity(0))


def _packed(items: Sequence[Item], first: int) -> bytes:
    """Check a part in a process of a node; give its table as bytes."""
    table = check(items, first)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed
