"""The one pipeline: normalise, segment, scan, judge, merge.

``Checker.check_many`` is the only implementation; every front door goes through it, so that one
text and a million take the same path. What a finding is, the guide says; whether a candidate
becomes one is decided here and nowhere else.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hypecheck import guards, ruleset
from hypecheck.allow import AllowList
from hypecheck.checklist import Checklist
from hypecheck.errors import HypeCheckError
from hypecheck.joined import Joined
from hypecheck.match import Found, matcher
from hypecheck.normalise import Normalised, normalise_many
from hypecheck.screen import holds
from hypecheck.segment import segment_many
from hypecheck.types import (
    CATEGORIES,
    CATEGORY_OF,
    SENSITIVITIES,
    Candidate,
    ChecklistItem,
    Cue,
    Dismissed,
    Finding,
    Report,
    Rule,
    Sensitivity,
    Sentence,
    Source,
    Versions,
)

if TYPE_CHECKING:
    from hypecheck.deep import Kept
    from hypecheck.model import Model, Scored

VERSION = "0.1.0"
# A rule without a model behind it counts when this share of what it hits is right
# (its precision on the training split, rules/scores.toml).
RULE_THRESHOLDS: dict[Sensitivity, float] = {"strict": 0.9, "balanced": 0.7, "broad": 0.0}
# Where a rule of at least this measured precision stands behind a phrase, the model may doubt it
# a little more: its threshold is multiplied by TRUST. Chosen on dev.
TRUSTED_RULE = 0.9
TRUST = 0.4
_NO_RULE = (
    "No rule matches here; the model finds that this phrase reads like others that careful "
    "readers flagged. "
)
_CHUNK = 512  # texts that are read together, at most


@dataclass(slots=True)
class _Read:
    """A text after normalising, scanning and judging."""

    id: str
    text: str
    plain: Normalised
    sentences: tuple[Sentence, ...]  # in the normalised text
    found: Found
    verdicts: Sequence[guards.Verdict | None]  # on what the rules found
    known: guards.Known | None


class Checker:
    """Checks texts for hype.

    Args:
        sensitivity: "strict" (fewest false flags), "balanced", or "broad" (fewest misses).
        model: "default", "fast" (without the transformer, for scanning many texts), a model version
            or folder, or None for rules only.
        rules: your own rule files or folders of them, added to the shipped ones.
        only: the kinds to report; None for all.
        disable: kinds ("urgency"), categories or rule ids ("urgency/act-now") to leave out.
        allow: phrases that are accepted (case and spacing do not matter), or an allow-list: see
            ``Report.suppressed``.
        threads: of the transformer; 0 leaves it the choice, 1 suits many processes.

    Raises:
        RulesetError: a rule file is broken.
        ModelError: the model is missing, damaged or does not fit.
        HypeCheckError: an unknown sensitivity, kind or rule.

    Example:
        >>> import hypecheck
        >>> checker = hypecheck.Checker(model=None)
        >>> [f.text for f in checker.check("Act now! Our clinic guarantees a cure.").findings]
        ['Act now', 'guarantees a cure']
    """

    def __init__(
        self,
        sensitivity: Sensitivity = "balanced",
        model: str | None = "default",
        *,
        rules: Sequence[str | Path] = (),
        only: Iterable[str] | None = None,
        disable: Iterable[str] = (),
        allow: Iterable[str] | AllowList = (),
        threads: int = 0,
    ) -> None:
        if sensitivity not in SENSITIVITIES:
            raise HypeCheckError(
                f"unknown sensitivity {sensitivity!r} (known: {', '.join(SENSITIVITIES)})"
            )
        self.sensitivity = sensitivity
        self.ruleset = ruleset.load(tuple(Path(p) for p in rules))
        self._kinds, off = self._switches(only, disable)
        self._rules = {r.id: r for r in self.ruleset.rules}
        self._off = off
        self._matcher = matcher(
            self.ruleset.rules,
            self.checklist.patterns,
            (guards.any_cue(),),
            (*self.checklist.gates, (guards.HEALTH.pattern,), (guards.OTHER_TRADE.pattern,)),
        )
        self._cues = len(self.checklist.patterns)  # their number, and those of two gates
        self._health = len(self.checklist.gates)
        self._trade = self._health + 1
        self.allow = allow if isinstance(allow, AllowList) else AllowList.of_phrases(allow)
        for rule in {r for e in self.allow.entries for r in e.rules} - set(self._rules):
            raise HypeCheckError(
                f"unknown rule {rule!r} in the allow-list; `hypecheck rules show KIND` lists them"
            )
        self._model_name = model
        self._threads = threads
        if model is not None:
            _ = self.model  # a bad model is refused now, not at the first text

    def _switches(
        self, only: Iterable[str] | None, disable: Iterable[str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        known = set(self.ruleset.kinds)
        rule_ids = {r.id for r in self.ruleset.rules}
        kinds = set(known)
        if only is not None:
            kinds = set()
            for name in only:
                kinds |= self._named_kinds(name, known)
        off: set[str] = set()
        for name in disable:
            if name in rule_ids:
                off.add(name)
            else:
                kinds -= self._named_kinds(name, known)
        return frozenset(kinds), frozenset(off)

    @staticmethod
    def _named_kinds(name: str, known: set[str]) -> set[str]:
        if name in known:
            return {name}
        if name in CATEGORIES:
            return {k for k in known if CATEGORY_OF[k] == name}
        raise HypeCheckError(
            f"unknown kind or rule {name!r}; `hypecheck rules list` shows what there is"
        )

    @cached_property
    def model(self) -> Model | None:
        """Give the model in use, loaded and verified; None for rules only."""
        if self._model_name is None:
            return None
        from hypecheck import model

        return model.load(self._model_name, self._threads)

    @cached_property
    def _bars(self) -> tuple[float, ...]:
        """From which probability on the model flags, by category."""
        assert self.model is not None
        return tuple(self.model.thresholds[self.sensitivity][c] for c in CATEGORIES)

    @cached_property
    def versions(self) -> Versions:
        """Give what this checker's reports are made with."""
        return Versions(VERSION, self.ruleset.hash, self.model.version if self.model else None)

    @property
    def checklist(self) -> Checklist:
        """Give the patient's checklist that every report is made with."""
        return _checklist()

    def check(
        self, text: str, id: str = "", *, seconds: float | None = None, kept: Kept | None = None
    ) -> Report:
        """Check one text; the report's offsets are code points into ``text`` as given.

        Args:
            text: what to check.
            id: carried through into the report.
            seconds: after which the transformer reads no further; see ``Report.incomplete``.
            kept: see :meth:`check_many`.
        """
        return next(self.check_many([(id, text)], seconds=seconds, kept=kept))

    def check_many(
        self,
        texts: Iterable[str | tuple[str, str]],
        *,
        seconds: float | None = None,
        kept: Kept | None = None,
    ) -> Iterator[Report]:
        """Check texts, or pairs (id, text), lazily and in order.

        Args:
            texts: what to check.
            seconds: time for each text, as in :meth:`check`; the texts are then read one by one.
            kept: what the transformer read before (of the same model, at any sensitivity): a text
                that comes again, whole or changed in part, is then read again only where it must.

        Raises:
            TypeError: ``texts`` is one string, or holds something else than texts and pairs.
        """
        if isinstance(texts, str):
            raise TypeError("check_many() takes an iterable of texts; use check() for one text")
        return self._stream(texts, seconds, kept)

    def _stream(
        self,
        texts: Iterable[str | tuple[str, str]],
        seconds: float | None,
        kept: Kept | None,
    ) -> Iterator[Report]:
        for chunk in _chunks(texts, _CHUNK if seconds is None else 1):
            deadline = None if seconds is None else time.monotonic() + seconds
            reads, joined = self._read(chunk)
            lists = self.checklist.check_many(
                [(r.plain, r.text, r.sentences) for r in reads],
                [r.found.others for r in reads],
                [r.found.gates for r in reads],
            )
            scores = self._score(reads, deadline, kept, joined)
            for read, scored, items in zip(reads, scores, lists, strict=True):
                yield self._report(read, scored, items)

    def _read(self, chunk: Sequence[tuple[str, str]]) -> tuple[list[_Read], Joined]:
        """Normalise, cut, scan and judge some texts."""
        plains = normalise_many([text for _, text in chunk], self.ruleset.evasions)
        texts = [p.text for p in plains]
        sentences, joined = segment_many(texts)
        all_found = self._matcher.find_many(texts, sentences, self._off, joined)
        reads = []
        for (id_, text), plain, inside, found in zip(
            chunk, plains, sentences, all_found, strict=True
        ):
            live, verdicts = found.live, []
            known = self._known(plain.text, found)
            if live:
                unless = [self._rules[c.rule or ""].unless for c in live]
                verdicts = guards.judge(plain.text, inside, live, unless, known=known)
            reads.append(_Read(id_, text, plain, inside, found, verdicts, known))
        return reads, joined

    def _known(self, text: str, found: Found) -> guards.Known | None:
        """Give what the screen knows of a normalised text, for the guards."""
        if found.others is None:
            return None
        raw = text.encode("ascii")
        return guards.Known(
            found.others.get(self._cues, ()),
            holds(found.gates, self._health, guards.HEALTH, raw),
            holds(found.gates, self._trade, guards.OTHER_TRADE, raw),
        )

    def scan(
        self, text: str, sentences: Sequence[Sentence]
    ) -> tuple[list[Candidate], list[Candidate]]:
        """Give what the rules find in normalised ``text`` before any guard; rules off apart."""
        return self._matcher.find(text.encode("ascii"), sentences, self._off)

    def _score(
        self,
        reads: Sequence[_Read],
        deadline: float | None = None,
        kept: Kept | None = None,
        joined: Joined | None = None,
    ) -> Sequence[Scored | None]:
        """Ask the model about some texts at once."""
        if self.model is None:
            return [None] * len(reads)
        from hypecheck.model import Request

        requests = []
        for read in reads:
            if not read.found.live:
                requests.append(Request(read.plain.text, read.sentences, (), ()))
                continue
            # The model knows the shipped rules only; a user's own stay out of its features.
            known = [i for i, c in enumerate(read.found.live) if c.rule in self.model.rules]
            verdicts = [read.verdicts[i] for i in known]
            requests.append(
                Request(
                    read.plain.text,
                    read.sentences,
                    [read.found.live[i] for i in known],
                    [v.guard if v else None for v in verdicts],
                )
            )
        return self.model.score(requests, deadline, kept, joined, self._bars)

    def _report(
        self, read: _Read, scored: Scored | None, items: tuple[ChecklistItem, ...]
    ) -> Report:
        findings: list[Finding] = []
        dismissed: list[Dismissed] = []
        for c, v in zip(read.found.live, read.verdicts, strict=True):
            self._decide(read, c, v, scored, findings, dismissed)
        if scored is not None and scored.flags:
            self._add_model_only(read, scored, findings, dismissed)
        if len(findings) > 1:
            findings.sort(key=lambda f: (f.start, f.end, f.kind))
        if len(dismissed) > 1:
            dismissed.sort(key=lambda d: (d.start, d.end, d.kind))
        sentences = read.sentences
        if read.plain.at:
            spans = read.plain.spans([(s.start, s.end) for s in sentences])
            sentences = tuple(
                [Sentence(a, b, s.block) for (a, b), s in zip(spans, sentences, strict=True)]
            )
        report = Report(
            id=read.id,
            text=read.text,
            sentences=sentences,
            findings=tuple(findings),
            dismissed=tuple(dismissed),
            scores=self._scores(scored, findings),
            checklist=items,
            versions=self.versions,
            incomplete=scored is not None and scored.incomplete,
        )
        return self.allow.apply(report)

    def _scores(self, scored: Scored | None, findings: Sequence[Finding]) -> dict[str, float]:
        """Give, by category, the probability that the text is flagged at least once."""
        out: dict[str, float] = {}
        for c in CATEGORIES:
            if scored is not None:
                out[c] = round(scored.document[c], 6)
            else:  # rules only: of independent rules, each right with its measured precision
                miss = 1.0
                for f in findings:
                    if f.category == c:
                        miss *= 1 - f.score
                out[c] = round(1 - miss, 6)
        return out

    def _decide(
        self,
        read: _Read,
        c: Candidate,
        verdict: guards.Verdict | None,
        scored: Scored | None,
        findings: list[Finding],
        dismissed: list[Dismissed],
    ) -> None:
        """Turn a rule's candidate into a finding or a dismissal."""
        if c.kind not in self._kinds:
            return
        category = CATEGORY_OF[c.kind]
        if verdict is not None:
            dismissed.append(self._dismiss(read, c, "rule", verdict.guard, verdict))
            return
        score = c.score
        source: Source = "rule"
        bar = RULE_THRESHOLDS[self.sensitivity]
        if scored is not None and self.model is not None and c.rule in self.model.rules:
            # The model knows the rule: its probability, which weighs the rule in, decides.
            score = float(scored.labels[c.sentence, CATEGORIES.index(category)])
            bar = self.model.thresholds[self.sensitivity][category]
            source = "both"
            if self.sensitivity == "balanced" and c.score >= TRUSTED_RULE:
                bar *= TRUST
        if score >= bar:
            findings.append(self._find(read, c, source, score))
        else:
            dismissed.append(self._dismiss(read, c, "rule", "unlikely", None))

    def _add_model_only(
        self,
        read: _Read,
        scored: Scored,
        findings: list[Finding],
        dismissed: list[Dismissed],
    ) -> None:
        """Add what the model flags and no rule does; it must pass the same guards."""
        have = {(f.sentence, f.category) for f in findings}
        have |= {(c.sentence, CATEGORY_OF[c.kind]) for c in read.found.hidden}
        wanted = [
            Candidate(f.kind, f.sentence, f.start, f.end, None, f.score)
            for f in scored.flags
            if f.kind in self._kinds and (f.sentence, CATEGORIES[f.category]) not in have
        ]
        if not wanted:
            return
        unless = [self.ruleset.guards[CATEGORY_OF[c.kind]] for c in wanted]
        # The span of the model's flag is rough: who says it may stand inside, "clinics say that …".
        within = ("refuted", "reported")
        verdicts = guards.judge(read.plain.text, read.sentences, wanted, unless, within, read.known)
        # Where a guard silenced a rule's phrase, the model's wider flag is silenced with it.
        judged = {
            (c.sentence, CATEGORY_OF[c.kind]): v
            for c, v in zip(read.found.live, read.verdicts, strict=True)
            if v is not None
        }
        for c, v in zip(wanted, verdicts, strict=True):
            v = v or judged.get((c.sentence, CATEGORY_OF[c.kind]))
            if v is not None:
                dismissed.append(self._dismiss(read, c, "model", v.guard, v))
            else:
                findings.append(self._find(read, c, "model", c.score))

    def _find(self, read: _Read, c: Candidate, source: Source, score: float) -> Finding:
        start, end = read.plain.span(c.start, c.end)
        kind = self.ruleset.kinds[c.kind]
        return Finding(
            start=start,
            end=end,
            text=read.text[start:end],
            sentence=c.sentence,
            category=kind.category,
            kind=c.kind,
            severity=kind.severity,
            score=round(score, 4),
            source=source,
            rule=c.rule,
            why=kind.why if c.rule else _NO_RULE + kind.why,
            advice=kind.advice,
            references=kind.references,
        )

    def _dismiss(
        self,
        read: _Read,
        c: Candidate,
        source: Source,
        guard: str,
        verdict: guards.Verdict | None,
    ) -> Dismissed:
        start, end = read.plain.span(c.start, c.end)
        cue = None
        if verdict is not None and verdict.end > verdict.start:
            a, b = read.plain.span(verdict.start, verdict.end)
            cue = Cue(a, b, read.text[a:b])
        return Dismissed(
            start=start,
            end=end,
            text=read.text[start:end],
            sentence=c.sentence,
            category=CATEGORY_OF[c.kind],
            kind=c.kind,
            source=source,
            rule=c.rule,
            guard=guard,
            cue=cue,
            reason=guards.REASONS[guard],
        )

    def rule(self, id_: str) -> Rule | None:
        """Give a rule in force by its id."""
        return self._rules.get(id_)


@cache
def _checklist() -> Checklist:
    return Checklist()


def _chunks(texts: Iterable[str | tuple[str, str]], size: int) -> Iterator[list[tuple[str, str]]]:
    it = iter(texts)
    # The first text is answered before the second is asked for, and never more are asked for at
    # once than were answered: streams stay interactive.
    sizes = (min(1 << k, size) for k in itertools.chain([0], itertools.count()))
    n = 0
    while batch := list(itertools.islice(it, next(sizes))):
        out = []
        for item in batch:
            if isinstance(item, str):
                out.append((str(n), item))
            elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], str):
                out.append((str(item[0]), item[1]))
            else:
                raise TypeError(f"text number {n}: expected str or (id, str), not {item!r:.60}")
            n += 1
        yield out
