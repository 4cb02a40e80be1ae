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
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from hypecheck import guards
from hypecheck.allow import AllowList
from hypecheck.batch import parts, places, readers, writers
from hypecheck.batch.records import Bad, Item
from hypecheck.checker import VERSION, Checker
from hypecheck.errors import HypeCheckError, InputError
from hypecheck.types import Sensitivity

ENGINES = ("local", "daft")
STATE = "scan.json"
FORGET = 32  # parts, after which a worker lets go of the words it has met


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
    main_content: bool = False  # of HTML, the article alone

    def ask(self, tell: Callable[[str], None]) -> readers.Ask:
        """Make what the readers need to know."""
        return readers.Ask(self.text_columns, self.id_columns, self.main_content, tell)

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
    read: int = 0  # bytes of the inputs that are behind
    size: int = 0  # bytes of all inputs; 0 where it cannot be told
    began: int = 0  # bytes that were behind before there was anything to do
    examples: list[str] = field(default_factory=list)  # of errors, the first few


class InterruptedScanError(HypeCheckError):
    """The scan was stopped; what is done is kept."""


def scan(
    plan: Plan,
    out: Path | str,
    *,
    rows: str = "findings",
    workers: int = 0,
    engine: str = "local",
    address: str | None = None,
    fresh: bool = False,
    max_errors: int | None = None,
    baseline: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> writers.Summary:
    """Scan everything, or go on with what an earlier run left.

    Args:
        plan: inputs and options.
        out: a folder for all results, or a file whose suffix says the format; or a URL of such.
        rows: for a file: one row a "findings" or "documents".
        workers: processes; 0 for one a core. On a cluster: of each node.
        engine: "local", or "daft" (needs the extra "cluster").
        address: with Daft, a Ray cluster's address; without one Daft works on this machine.
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
    url = str(out) if places.is_url(str(out)) else None
    # What goes to a store is made here first: parts, then results.
    out = Path(Path(url.partition("?")[0]).name) if url else Path(out)
    writers.check_target(out, rows)
    if engine not in ENGINES:
        raise HypeCheckError(f"unknown engine {engine!r} (known: {', '.join(ENGINES)})")
    if address and engine == "local":
        raise HypeCheckError("--address names a Ray cluster: it needs --engine daft")
    folder = out.with_name(f".{out.name}.parts")
    checker = plan.checker()  # wrong options are refused here, before any process starts
    state = _state(plan, checker)
    # What came by standard input does not come again: its parts cannot be gone on with.
    if (fresh or "-" in plan.inputs) and folder.exists():
        shutil.rmtree(folder)
    run = Run(plan, folder, workers, max_errors, tell, progress)
    target = folder / out.name if url else out
    try:
        _begin(folder, state, out)
        if engine == "daft":
            cluster = _cluster()
            names = cluster.run(run, address)
        else:
            names = run.here()
        summary = writers.finish([folder / n for n in names], target, rows, state, baseline)
    except OSError as e:
        raise InputError(
            f"{e.filename or folder}: {e.strerror or e}; what is done is kept in {folder}: "
            "put that right and run the same command again"
        ) from None
    if url:
        places.store(target, url)
    shutil.rmtree(folder)
    return summary


def _cluster() -> ModuleType:
    try:
        from hypecheck.batch import cluster
    except ImportError as e:
        raise HypeCheckError(
            f"Daft and Ray are not there ({e}): pip install 'hypecheck[cluster]'"
        ) from None
    return cluster


def _state(plan: Plan, checker: Checker) -> dict[str, Any]:
    """Give what must be the same for parts to belong together."""
    v = checker.versions
    files = [[p.name, p.size, p.changed] for p in readers.expand(plan.inputs)]
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


def name(unit: int, k: int) -> str:
    """Give the name of a part's file: names in order are parts in order."""
    return f"{unit:06d}-{k:06d}.arrow"


@dataclass(slots=True)
class Run:
    """A scan under way: what it was asked, and how far it is."""

    plan: Plan
    folder: Path
    workers: int
    max_errors: int | None
    tell: Callable[[str], None]
    progress: Callable[[Progress], None]
    so_far: Progress = field(default_factory=Progress)
    _running: dict[Future[None], int] = field(default_factory=dict)  # bytes read behind each

    def here(self) -> list[str]:
        """Read the inputs, have each part checked that is not yet there; give the parts' names."""
        ask = self.plan.ask(self.tell)
        found = readers.expand(self.plan.inputs)
        so_far = self.so_far
        so_far.size = sum(p.size or 0 for p in found)
        workers = self.workers or max(1, len(os.sched_getaffinity(0)))
        pool: ProcessPoolExecutor | None = None
        names: list[str] = []
        first = 0
        with stopping() as stop:
            try:
                for u, unit in enumerate(places.units(found)):
                    if stop():
                        break
                    for k, items in enumerate(parts.cut(readers.read_places(unit, ask))):
                        if stop():
                            break
                        count(items, so_far)
                        self.refuse_errors()
                        names.append(name(u, k))
                        path = self.folder / names[-1]
                        if path.exists():
                            so_far.resumed += 1
                            if pool is None:
                                so_far.began = ask.position
                            self._done(ask.position)
                        else:
                            pool = pool or start_pool(self.plan, workers)
                            self._running[pool.submit(work, items, first, path)] = ask.position
                            while len(self._running) > 2 * workers:
                                self._collect()
                        first += len(items)
                while self._running:
                    self._collect()
            except BrokenProcessPool:
                raise HypeCheckError(
                    "a worker died, perhaps for lack of memory; what is done is kept: run the same "
                    "command again, with fewer --workers"
                ) from None
            finally:
                if pool is not None:
                    pool.shutdown(wait=True, cancel_futures=True)
            if stop():
                raise InterruptedScanError(
                    f"stopped; {so_far.parts} parts are kept, the same command goes on from there"
                )
        return names

    def refuse_errors(self) -> None:
        """Stop when too many records cannot be read; what is under way is finished first."""
        if self.max_errors is not None and self.so_far.errors > self.max_errors:
            while self._running:
                self._collect()
            raise InputError(
                f"more than {self.max_errors} records cannot be read (--max-errors), the last: "
                f"{self.so_far.examples[-1]}"
            )

    def _collect(self) -> None:
        done, _ = wait(self._running, return_when=FIRST_COMPLETED)
        for future in done:
            position = self._running.pop(future)
            future.result()
            self._done(position)

    def _done(self, position: int) -> None:
        self.so_far.parts += 1
        self.so_far.read = max(self.so_far.read, position)
        self.progress(self.so_far)


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed since; the first finishes what runs.

    The second is as it always is.
    """
    stopped = False

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True
        signal.signal(signal.SIGINT, before)

    if not _in_main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: stopped
    finally:
        signal.signal(signal.SIGINT, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def count(items: Sequence[Item], so_far: Progress) -> None:
    """Count the records of a part."""
    for item in items:
        so_far.records += 1
        if isinstance(item, Bad):
            so_far.errors += 1
            so_far.examples = [*so_far.examples[-4:], f"{item.place}: {item.reason}"]
        else:
            so_far.characters += len(item.text)


# In the worker processes

_CHECKER: Checker | None = None
_CHECKED = 0


def start_pool(plan: Plan, workers: int) -> ProcessPoolExecutor:
    """Start processes that check parts."""
    # Small products: threads of several processes would only wait for one another.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    return ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start, initargs=(plan,)
    )


def _start(plan: Plan) -> None:
    global _CHECKER
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _CHECKER = plan.checker(threads=1)
    # The rules and the model stay as they are: the collector need not look through them again.
    gc.freeze()


def _end_with_parent() -> None:
    """End when the parent is gone: killed, it cannot say so."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def check(items: Sequence[Item], first: int) -> pa.Table:
    """Check a part in a worker."""
    global _CHECKED
    assert _CHECKER is not None
    _CHECKED += 1
    if _CHECKED % FORGET == 0:
        guards.forget()
    return parts.scan(items, first, _CHECKER)


def work(items: Sequence[Item], first: int, path: Path) -> None:
    """Check a part in a worker and keep the result."""
    parts.write(check(items, first), path)
