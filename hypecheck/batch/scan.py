"""A scan on one machine: parts over all cores, kept as they are done, so that a run can go on.

Parts lie in a folder beside the results until all are done. What a finished run holds depends on
inputs, options and versions alone: not on the number of workers, nor on how often it was
interrupted.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hypecheck.allow import AllowList
from hypecheck.batch import parts, readers, writers
from hypecheck.batch.records import Bad, Item
from hypecheck.checker import VERSION, Checker
from hypecheck.errors import HypeCheckError, InputError
from hypecheck.types import Sensitivity

STATE = "scan.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """What makes one scan's results different from another's."""

    inputs: tuple[str, ...]
    text_columns: tuple[str, ...] = ()
    id_columns: tuple[str, ...] = ()
    sensitivity: Sensitivity = "balanced"
    model: str = "fast"
    rules: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    disable: tuple[str, ...] = ()
    allow: AllowList = field(default_factory=AllowList)

    def checker(self, threads: int = 0) -> Checker:
        """Make the checker."""
        model = None if self.model == "none" else self.model
        return Checker(
            self.sensitivity,
            model,
            rules=self.rules,
            only=self.only,
            disable=self.disable,
            allow=self.allow,
            threads=threads,
        )


@dataclass(slots=True)
class Progress:
    """How far a scan is; given to the caller after each part."""

    records: int = 0
    characters: int = 0
    errors: int = 0
    parts: int = 0
    resumed: int = 0  # parts found done
    examples: list[str] = field(default_factory=list)  # of errors, the first few


class InterruptedScanError(HypeCheckError):
    """The scan was stopped; what is done is kept."""


def scan(
    plan: Plan,
    out: Path,
    *,
    rows: str = "findings",
    workers: int = 0,
    fresh: bool = False,
    max_errors: int | None = None,
    baseline: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> writers.Summary:
    """Scan everything, or go on with what an earlier run left.

    Args:
        plan: inputs and options.
        out: a folder for all results, or a file whose suffix says the format.
        rows: for a file: one row a "findings" or "documents".
        workers: processes; 0 for one a core.
        fresh: throw away what an earlier run left.
        max_errors: stop when more records than this cannot be read.
        baseline: results of an earlier scan; what they hold is marked as known.
        tell: gets messages for the user.
        progress: called after each part.

    Raises:
        HypeCheckError: wrong options, or an earlier run with others lies there.
        InputError: too many errors, or the disk is full; what is done is kept.
        InterruptedScanError: Ctrl-C; the same command goes on.
    """
    writers.check_target(out, rows)
    workers = workers or max(1, len(os.sched_getaffinity(0)))
    folder = out.with_name(f".{out.name}.parts")
    checker = plan.checker()  # wrong options are refused here, before any process starts
    state = _state(plan, checker)
    # What came by standard input does not come again: its parts cannot be gone on with.
    if (fresh or "-" in plan.inputs) and folder.exists():
        shutil.rmtree(folder)
    _begin(folder, state, out)
    so_far = Progress()
    try:
        count = _run(plan, folder, workers, max_errors, tell, progress, so_far)
    except OSError as e:
        raise InputError(
            f"{folder}: {e.strerror or e}; what is done is kept: make room and run it again"
        ) from None
    summary = writers.finish([folder / _name(k) for k in range(count)], out, rows, state, baseline)
    shutil.rmtree(folder)
    return summary


def _state(plan: Plan, checker: Checker) -> dict[str, Any]:
    """Give what must be the same for parts to belong together."""
    v = checker.versions
    files = []
    for f in readers.expand(plan.inputs):
        try:
            stat = f.stat()
            files.append([str(f), stat.st_size, stat.st_mtime_ns])
        except OSError:
            files.append([str(f), None, None])
    return {
        "versions": {"hypecheck": VERSION, "ruleset": v.ruleset, "model": v.model},
        "plan": json.loads(json.dumps(asdict(plan))),
        "files": hashlib.sha256(json.dumps(files).encode()).hexdigest(),
    }


def _begin(folder: Path, state: dict[str, Any], out: Path) -> None:
    path = folder / STATE
    if path.exists():
        try:
            earlier = json.loads(path.read_text("utf-8"))
        except ValueError:
            earlier = None
        if earlier != state:
            changed = [k for k in state if (earlier or {}).get(k) != state[k]]
            raise HypeCheckError(
                f"{out}: an unfinished scan lies in {folder} that was begun with other "
                f"{', '.join(changed)}; finish it with the same command, or start over with --fresh"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(state), "utf-8")
    beside.replace(path)


def _name(k: int) -> str:
    return f"{k:08d}.arrow"


def _run(
    plan: Plan,
    folder: Path,
    workers: int,
    max_errors: int | None,
    tell: Callable[[str], None],
    progress: Callable[[Progress], None],
    so_far: Progress,
) -> int:
    """Read the inputs, have each part checked that is not yet there; give how many there are."""
    ask = readers.Ask(plan.text_columns, plan.id_columns, tell)
    running: dict[Future[None], int] = {}
    stopped = False

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True

    before = signal.signal(signal.SIGINT, stop) if _in_main_thread() else None
    pool: ProcessPoolExecutor | None = None
    k = first = 0
    try:
        for k, items in enumerate(parts.cut(readers.read(plan.inputs, ask))):
            if stopped:
                break
            _count(items, so_far)
            if max_errors is not None and so_far.errors > max_errors:
                _drain(running, so_far, progress)
                raise InputError(
                    f"more than {max_errors} records cannot be read (--max-errors), the last: "
                    f"{so_far.examples[-1]}"
                )
            path = folder / _name(k)
            if path.exists():
                so_far.resumed += 1
                so_far.parts += 1
                progress(so_far)
            else:
                if pool is None:
                    pool = _pool(plan, workers)
                running[pool.submit(_work, items, first, path)] = k
                while len(running) > 2 * workers:
                    _collect(running, so_far, progress)
            first += len(items)
        else:
            k += 1 if first else 0
        _drain(running, so_far, progress)
    except BrokenProcessPool:
        raise HypeCheckError(
            "a worker died, perhaps for lack of memory; what is done is kept: run the same command "
            "again, with fewer --workers"
        ) from None
    finally:
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)
        if before is not None:
            signal.signal(signal.SIGINT, before)
    if stopped:
        raise InterruptedScanError(
            f"stopped; {so_far.parts} parts are kept, the same command goes on from there"
        )
    return k


def _in_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


def _count(items: Sequence[Item], so_far: Progress) -> None:
    for item in items:
        so_far.records += 1
        if isinstance(item, Bad):
            so_far.errors += 1
            so_far.examples = [*so_far.examples[-4:], f"{item.place}: {item.reason}"]
        else:
            so_far.characters += len(item.text)


def _collect(
    running: dict[Future[None], int], so_far: Progress, progress: Callable[[Progress], None]
) -> None:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        del running[future]
        future.result()
        so_far.parts += 1
        progress(so_far)


def _drain(
    running: dict[Future[None], int], so_far: Progress, progress: Callable[[Progress], None]
) -> None:
    while running:
        _collect(running, so_far, progress)


# In the worker processes

_CHECKER: Checker | None = None


def _pool(plan: Plan, workers: int) -> ProcessPoolExecutor:
    # Small products: threads of several processes would only wait for one another.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    return ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start, initargs=(plan,)
    )


def _start(plan: Plan) -> None:
    global _CHECKER
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _CHECKER = plan.checker(threads=1)
    # The rules and the model stay as they are: the collector need not look through them again.
    gc.freeze()


def _work(items: Sequence[Item], first: int, path: Path) -> None:
    assert _CHECKER is not None
    parts.write(parts.scan(items, first, _CHECKER), path)
