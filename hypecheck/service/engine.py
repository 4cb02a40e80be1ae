"""The checker behind the service: checkers by option, a bounded queue of threads, kept answers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TypeVar

from cachetools import LRUCache

from hypecheck.checker import Checker
from hypecheck.deep import Kept
from hypecheck.errors import HypeCheckError, ModelError
from hypecheck.ruleset import unmark
from hypecheck.service.problems import ProblemError, safe_name
from hypecheck.service.settings import Settings
from hypecheck.types import CATEGORIES, Report, Sensitivity, Versions

T = TypeVar("T")
# The tiers that a server offers beside its own.
_CHEAPER = {"default": ("fast", "none"), "fast": ("none",), "none": ()}
_KEPT = 20_000  # characters; longer texts seldom come twice
_QUICK = 2_000  # characters; without the transformer such a text is read in a millisecond or a few


@dataclass(frozen=True, slots=True)
class Choice:
    """The options of a check that make one checker different from another."""

    sensitivity: Sensitivity
    model: str
    only: tuple[str, ...] | None = None
    disable: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()


class Engine:
    """Runs checks for many clients at once.

    Args:
        settings: threads, queue, time for a document, answers to keep.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="check")
        self._room = settings.threads + settings.queue
        self._pending = 0
        self._lock = threading.Lock()
        # A report weighs by what it holds: an ordinary one about twenty.
        self._answers: LRUCache[tuple[Choice, bytes], Report] = LRUCache(
            max(settings.cache, 1) * 20,
            lambda r: (
                5 + len(r.findings) + len(r.dismissed) + len(r.suppressed) + len(r.sentences) // 4
            ),
        )
        # Only the server's own model has a transformer, so one store serves all choices.
        self._kept = Kept(settings.cache) if settings.cache else None
        self._checker = lru_cache(maxsize=64)(_make)
        own = settings.model
        self._tiers = tuple(dict.fromkeys([own, *_CHEAPER.get(own, ("none",))]))
        self._loaded = {"none"}
        self._warm = False

    @property
    def waiting(self) -> int:
        """Give how many jobs wait for a thread."""
        return max(0, self._pending - self._settings.threads)

    @property
    def full(self) -> bool:
        """Say whether the next request would be turned away."""
        return self._pending >= self._room

    @property
    def versions(self) -> Versions:
        """Give what the default checker's reports are made with."""
        return self.checker(self.default).versions

    @property
    def default(self) -> Choice:
        """Give the choice of a request that names no options."""
        return Choice(self._settings.sensitivity, self._settings.model)

    def load(self) -> None:
        """Load and verify the model, and check a first text: the next is answered at once.

        Raises:
            HypeCheckError: the model is damaged, missing or unknown.
        """
        self._checker(self.default).check("No clinic can guarantee a cure. We guarantee it!")
        self._loaded.add(self.default.model)

    def warm(self) -> None:
        """Meet an example of every rule: a pattern is compiled when a text first needs it.

        Half a second, by which the first hundreds of texts are answered in half the time.
        """
        rules = self._checker(replace(self.default, model="none"))
        for _ in rules.check_many([unmark(r.fires[0])[0] for r in rules.ruleset.rules]):
            pass
        self._warm = True

    def checker(self, choice: Choice) -> Checker:
        """Give the checker for some options, made once.

        Raises:
            ProblemError: 422, an option is unknown, or not served here.
        """
        if choice.model not in self._tiers:
            raise ProblemError(
                422, "Invalid option", f"model: this server has {', '.join(self._tiers)}"
            )
        try:
            return self._checker(choice)
        except ModelError:
            raise
        except HypeCheckError:
            ruleset = self._checker(self.default).ruleset
            known = {*CATEGORIES, *ruleset.kinds, *(r.id for r in ruleset.rules)}
            wrong = [n for n in (*(choice.only or ()), *choice.disable) if n not in known]
            names = ", ".join(repr(safe_name(n)) for n in wrong[:3])
            detail = f"unknown kind or rule {names}; /v1/rules lists what there is"
            raise ProblemError(422, "Invalid option", detail) from None

    async def ready(self, choice: Choice) -> None:
        """Make sure that there is a checker for some options; a model is loaded in a thread.

        Raises:
            ProblemError: as :meth:`checker`.
        """
        if choice.model in self._loaded:
            self.checker(choice)
        else:
            await self.run(partial(self.checker, choice), admitted=True)
            self._loaded.add(choice.model)

    def check(self, choice: Choice, text: str, id_: str = "", seconds: float = 0.0) -> Report:
        """Check one text, or give the report that is kept of it; to be called by :meth:`run`.

        Raises:
            ProblemError: 413, the text is too long.
        """
        if len(text) > self._settings.max_characters:
            raise too_long(len(text), self._settings.max_characters)
        return self.answer(choice, text, id_, seconds)

    def answer(self, choice: Choice, text: str, id_: str = "", seconds: float = 0.0) -> Report:
        """Do the same for a text of any length."""
        key = self._key(choice, text)
        with self._lock:
            kept = self._answers.get(key)
        if kept is not None:
            return replace(kept, id=id_, text=text)
        seconds = min(seconds or self._settings.document_seconds, self._settings.document_seconds)
        report = self.bounded(
            self.checker(choice).check(text, id_, seconds=seconds, kept=self._kept)
        )
        if self._settings.cache and len(text) <= _KEPT and not report.incomplete:
            with self._lock, contextlib.suppress(ValueError):  # too large to be kept
                self._answers[key] = replace(report, text="")
        return report

    @staticmethod
    def _key(choice: Choice, text: str) -> tuple[Choice, bytes]:
        return choice, hashlib.blake2b(text.encode("utf-8", "surrogatepass")).digest()

    def bounded(self, report: Report) -> Report:
        """Give a report with as many findings as an answer may hold, and say what is left out."""
        most = self._settings.max_findings
        if max(map(len, (report.findings, report.dismissed, report.suppressed))) <= most:
            return report
        note = f"{len(report.findings)} findings; the first {most} are given"
        return replace(
            report,
            findings=report.findings[:most],
            dismissed=report.dismissed[:most],
            suppressed=report.suppressed[:most],
            notes=(*report.notes, note),
            incomplete=True,
        )

    def quick(self, choice: Choice, text: str) -> bool:
        """Say whether a check is so short that a thread is not worth it: see :meth:`run`.

        None is before :meth:`warm`: patterns would be compiled meanwhile.
        """
        if len(text) > _QUICK or not self._warm:
            return False
        light = choice.model in ("none", "fast") or choice.model.endswith("/fast")
        return light or self._key(choice, text) in self._answers

    async def run(self, work: Callable[[], T], *, admitted: bool = False, quick: bool = False) -> T:
        """Run ``work`` in a thread.

        Args:
            work: what to do.
            admitted: it belongs to a request that was let in already.
            quick: it may be done here, where nothing else is being done.

        Raises:
            ProblemError: 503, too many are waiting.
        """
        if quick and not self._pending:
            with self._lock:
                self._pending += 1
            try:
                # Whatever else has arrived goes to the threads, or is turned away.
                await asyncio.sleep(0)
                return work()
            finally:
                self._done()
        if self.full and not admitted:
            raise ProblemError(
                503,
                "Too busy",
                "too many requests are waiting; try again in a moment",
                headers={"Retry-After": "1"},
            )
        with self._lock:
            self._pending += 1
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: self._done())
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        with self._lock:
            self._pending -= 1

    def close(self) -> None:
        """Finish what runs, and stop."""
        self._pool.shutdown(wait=True, cancel_futures=False)


def too_long(size: int, most: int) -> ProblemError:
    """Make the refusal of a long text."""
    return ProblemError(
        413, "Text too long", f"{size} characters, the limit is {most}; split the text"
    )


def _make(choice: Choice) -> Checker:
    model = None if choice.model == "none" else choice.model
    return Checker(
        choice.sensitivity, model, only=choice.only, disable=choice.disable, allow=choice.allow
    )
