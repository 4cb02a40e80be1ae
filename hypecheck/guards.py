"""Guards decide endorsement: does the text itself make the claim to win a patient?

Each guard reads the sentence of a candidate in its document and names the cue that silences it.
Word cues are data (``rules/cues.toml``), matched over spaCy tokens in the manner of ConText
(Harkema et al. 2009): a cue has a direction, a reach and terminators; pseudo-cues are none.
spaCy is loaded only where a cue may stand that reaches a candidate.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Literal

from hypecheck.errors import RulesetError
from hypecheck.regexp import NONE, Regexp
from hypecheck.ruleset import RULES, parse
from hypecheck.screen import WHOLE
from hypecheck.types import Candidate, Sentence

if TYPE_CHECKING:
    from spacy.tokens import Doc

# Why a candidate was silenced, said to a reader.
REASONS = {
    "negated": "the text denies it",
    "refuted": "the text warns of it or refutes it",
    "reported": "the text reports or quotes what somebody else says",
    "questioned": "it is a question that the text answers soberly",
    "hedged": "the text says it with honest uncertainty",
    "supported": "data that a reader can check stand beside it",
    "not_health": "the text is not about health",
    "unlikely": "a careful reader of the whole text would probably not flag it",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A guard's decision and its cue, ``[start, end)`` in the normalised text."""

    guard: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Cue:
    guard: str
    direction: str
    scope: int
    stop: frozenset[str]


@dataclass(frozen=True, slots=True)
class CueExample:
    """An example of ``cues.toml``: the ``[candidate]`` is silenced by ``guard``, or kept."""

    guard: str
    text: str
    silenced: bool


_SUPPORT = Regexp(
    r"\b10\.\d{4,9}/\S+|\bpmid:? ?\d{5,9}|\bpmc\d{5,}|\bnct ?0\d{7}\b|\bisrctn ?\d{6,}"
    r"|\bactrn ?\d{10,}|\bctri/\d{4}/|\beudract:? ?\d{4}-|\bchictr-?\w{6,}"
    r"|\beu/1/\d{2}/\d+|\b(?:et al\.?|and colleagues),?(?: in)? ?[(,]? ?(?:19|20)\d\d"
    r"|\(?\b[a-z]+(?: et al\.?|(?: and|,| &) [a-z]+)?,? \(?(?:19|20)\d\d\)"
    r"|\b[a-z'-]+ (?:19|20)\d\d\)"
    r"|\b(?:cochrane|lancet|jama|bmj|nejm|new england journal)\b[^.]{0,60}(?:19|20)\d\d"
    r"|\b\d[\d,]* (?:of|out of) (?:the |our )?\d[\d,]* (?:patients|people|adults|participants|women"
    r"|men|knees|eyes|teeth|implants|children|cases|users|volunteers|clients|joints|procedures)"
    r"[^.]*\b(?:month|week|year|day|placebo|control|sham|compared|versus|vs)"
    r"|\b\d[\d,]* (?:of|out of) \d[\d,]* [^.]*\b(?:placebo|control|sham|versus|vs)\b"
    r"|\((?:n ?= ?\d+)[^)]*\)|\bn ?= ?\d{2,}",
)
_SUPPORT_GATE = re.compile(r"\d")
_SOBER_ANSWER = Regexp(
    r"^\W*(?:no\b|not (?:really|always|necessarily|yet|quite|for|in|everyone|usually|at all"
    r"|exactly|as)|there (?:is|are) (?:no|currently no|little|not)|it depends|that depends"
    r"|unfortunately|probably not|usually not|nobody|no one|none|we (?:do not|don't|cannot"
    r"|can't|will not|won't)|rarely|sadly|possibly|perhaps|maybe|sometimes|for some|in some"
    r"|the (?:honest|short) answer|honestly|as with any|every (?:procedure|treatment"
    r"|operation|medicine)|like (?:any|all|every)|results (?:vary|differ)|this varies"
    r"|it varies|generally|in most cases,? no|never|evidence|the evidence|research"
    r"|we simply)",
)
HEALTH = Regexp(
    r"\b(?:health|medic|clinic|consult|patient|doctor|dr\.|therap|treat|pain|surg|disease|symptom"
    r"|injur|cells?\b|skin|hair|tooth|teeth|dent|smile|weight|fat\b|diet|body|joint|knee"
    r"|back pain|spine|spinal|chiro|nerve|neuropath|cancer|diabet|arthrit|hormon|testost"
    r"|menopaus|botox|filler|laser|inject|drip|infus|vitamin|supplement|immun|wellness"
    r"|ageing|aging|anti-?age|wrinkl|sleep|snor|apn|hear|tinnit|vision|eye|lasik|ivf|fertil"
    r"|pregnan|sperm|erect|libido|anxi|depress|stress|ketamine|autis|adhd|brain|memory"
    r"|dement|stroke|heart|blood|cholest|kidney|liver|lung|asthma|copd|allerg|gut\b|ibs\b"
    r"|detox|toxin|cleanse|massage|acupunct|herb|homeop|ayurved|cbd\b|cannab|stem|exosome"
    r"|prp\b|plasma|peptide|ozone|hyperbaric|cryo|sauna|rehab|physio|vet\b|veterin|nurse"
    r"|hospital|pharm|pill|drug|dose|cure|heal|relief|ache|sore|cellulite|acne|scar|tattoo"
    r"|vein|facial|peel|lip|breast|tummy|implant|aligner|braces|veneer|whiten|hangover"
    r"|energy|fatigue|fog\b|migraine|headache|lyme|covid|virus|infect|bone|muscle|tendon"
    r"|cartilage|disc\b|hip\b|shoulder|neck|foot|feet|cravings|appetite|glp|ozempic|semaglut"
    r"|tirzep|wegovy|mounjaro|slim|younger|youth|nad\b|iv\b|trt\b|ed\b|ms\b|addict|recovery"
    r"|smok|hearing|ears?\b|walk|mobility|limp|scan|mri|test|lab\b|jab|shot|jabs|bloat"
    r"|probiotic|collagen|glow|lash|brow|longevity|biolog|genetic|dna\b|trial|regenerat"
    r"|tumou?r|rheumat|lupus|fibromyal|gout\b|oncolog|orthodon|nose\b|chest\b|thyroid"
    r"|transplant|remed(?:y|ies)|liposuc|rhinoplast|botanical|tonic\b|wound|fractur|bruis"
    r"|orthop|podiat|psych|counsel|mental|mood|nutrition|keto|fda\b)",
)
# Without any health word a text is taken as not about health only when it is long enough to tell,
# or names another trade: a lone "Only 3 spots left!" stays flagged.
OTHER_TRADE = Regexp(
    r"\b(?:plumb(?:er|ing)|roof(?:er|ing|s)|boilers?\b|drains?\b|second-?hand cars?\b"
    r"|new cars?\b|vehicles?\b|tyres?\b|garage|sneakers?\b|shoes\b|boots\b|jeans|furniture"
    r"|sofas?\b|mattress|carpets\b|software|laptops?\b|smartphones?\b|mortgage|loans?\b"
    r"|crypto|bitcoin|real estate|apartments?\b|pizza|restaurant|burgers?\b|concert|festival"
    r"|flights\b|cruises?\b|double glazing|concrete|solar panels?|jewell?e?ry"
    r"|toys\b|bookstore|wine|beer|lawn|removals|storage units?|lawyers?\b|attorneys?\b"
    r"|broadband|video games?)",
)
_LONG_ENOUGH = 40  # words
_SHORTEST_CUE = 2  # characters
_LEADING = ("refuted", "reported")  # guards of which a list's lead-in may hold the cue
_ENTRY = re.compile(r"(?m)^[ \t]*[\[(]?(\d{1,2})[\]).]? +(?=.*(?:19|20)\d\d)")
_CITATION = Regexp(r"\[(\d{1,2})\]|\((\d{1,2})\)")


@cache
def _cue_table() -> tuple[dict[str, Any], tuple[CueExample, ...]]:
    table = parse((RULES / "cues.toml").read_bytes())
    examples: list[CueExample] = []
    for group in table["cue"]:
        unknown = group.keys() - {
            "guard",
            "direction",
            "scope",
            "stop",
            "phrases",
            "silences",
            "keeps",
        }
        if unknown or group["guard"] not in REASONS:
            raise RulesetError(f"cues.toml: group of {group.get('guard')!r}: unknown key or guard")
        if group["direction"] not in ("forward", "backward", "both"):
            raise RulesetError(f"cues.toml: unknown direction {group['direction']!r}")
        examples += [CueExample(group["guard"], t, True) for t in group["silences"]]
        examples += [CueExample(group["guard"], t, False) for t in group["keeps"]]
    return table, tuple(examples)


def cue_examples() -> tuple[CueExample, ...]:
    """Give every example of ``cues.toml``."""
    return _cue_table()[1]


# Tokens that spaCy cuts out of a longer word ("cannot", "couldn't"): no edge of a word beside them.
_CUT_OUT = frozenset(["not", "could", "may", "might"])


def _any_of(phrases: Iterable[str], words: dict[str, list[str]]) -> Regexp:
    """Compile one RE2 pattern for phrases of cues: where it does not match, no tokens can.

    A phrase's tokens follow one another in the text.
    """
    patterns = []
    for phrase in phrases:
        tokens = phrase.split()
        parts = []
        for t in tokens:
            if t in ("...", "…"):
                parts.append(r"(?s:.*)")
            elif t.startswith("{"):
                parts.append(f"(?:{'|'.join(map(re.escape, words[t[1:-1]]))})")
            else:
                parts.append(re.escape(t))
        edge = r"\b" if len(tokens) == 1 and phrase not in _CUT_OUT else ""
        patterns.append(edge + r"\s*".join(parts) + edge)
    return Regexp("|".join(patterns) or r"[^\s\S]")


@cache
def any_cue() -> str:
    """Give a pattern that matches wherever a cue may stand."""
    table, _ = _cue_table()
    phrases = dict.fromkeys(p for group in table["cue"] for p in group["phrases"])
    return _any_of(phrases, table["words"]).pattern


@cache
def _with_open_places() -> Regexp:
    """Compile one RE2 pattern for all phrases with open places: the costly ones to look for."""
    table, _ = _cue_table()
    phrases = [p for group in table["cue"] for p in group["phrases"]] + table["pseudo"]
    return _any_of([p for p in phrases if _is_open(p)], table["words"])


def _is_open(phrase: str) -> bool:
    return any(t.startswith("{") or t in ("...", "…") for t in phrase.split())


@dataclass(frozen=True, slots=True)
class _Reach:
    """Where cues of some guards may stand: patterns for what lies before a candidate and behind."""

    before: Regexp
    behind: Regexp
    lead_in: Regexp


@lru_cache(maxsize=64)
def _reach(guards: tuple[str, ...]) -> _Reach:
    table, _ = _cue_table()
    cued = {group["guard"] for group in table["cue"]}
    if not cued.issuperset(guards):  # those without cues make no other patterns
        return _reach(tuple(g for g in guards if g in cued))
    sides: dict[str, list[str]] = {"forward": [], "backward": [], "lead-in": []}
    for group in table["cue"]:
        if group["guard"] not in guards:
            continue
        for side in ("forward", "backward"):
            if group["direction"] in (side, "both"):
                sides[side] += group["phrases"]
        if group["guard"] in _LEADING:
            sides["lead-in"] += group["phrases"]
    return _Reach(*(_any_of(phrases, table["words"]) for phrases in sides.values()))


class _Context:
    """The spaCy half: tokens, and where cues stand among them."""

    def __init__(self) -> None:
        from spacy.lang.en import English
        from spacy.matcher import Matcher, PhraseMatcher
        from spacy.tokenizer import Tokenizer
        from spacy.util import compile_infix_regex, compile_prefix_regex, compile_suffix_regex
        from spacy.vocab import create_vocab

        table, _ = _cue_table()
        # The tokenizer of spacy.blank("en"); the pipeline around it takes longer to make than it.
        given = English.Defaults
        self.vocab = create_vocab("en", given)
        self.tokenize = Tokenizer(
            self.vocab,
            rules=given.tokenizer_exceptions,
            prefix_search=compile_prefix_regex(given.prefixes or ()).search,
            suffix_search=compile_suffix_regex(given.suffixes or ()).search,
            infix_finditer=compile_infix_regex(given.infixes or ()).finditer,
            token_match=given.token_match,
            url_match=given.url_match,
        )
        self.terminators = frozenset(table["terminators"])
        self.cues: dict[str, _Cue] = {}
        self.phrases = PhraseMatcher(self.vocab, attr="LOWER")
        self.patterns = Matcher(self.vocab)
        self._add_phrases("pseudo", table["pseudo"], table["words"])
        for n, group in enumerate(table["cue"]):
            key = f"{group['guard']}-{n}"
            stop = frozenset(group.get("stop", ()))
            self.cues[key] = _Cue(group["guard"], group["direction"], group["scope"], stop)
            self._add_phrases(key, group["phrases"], table["words"])

    def _add_phrases(self, key: str, phrases: Iterable[str], words: dict[str, list[str]]) -> None:
        from spacy.tokens import Doc

        plain: list[Doc] = []
        patterns: list[list[dict[str, Any]]] = []
        for phrase in phrases:
            tokens = phrase.split()
            if not _is_open(phrase):
                plain.append(Doc(self.vocab, words=tokens))
                continue
            pattern: list[dict[str, Any]] = []
            for t in tokens:
                if t.startswith("{"):
                    pattern.append({"LOWER": {"IN": words[t[1:-1]]}})
                elif t in ("...", "…"):
                    pattern.append({"IS_PUNCT": False, "OP": "{0,3}" if t == "..." else "{0,6}"})
                else:
                    pattern.append({"LOWER": t})
            patterns.append(pattern)
        if plain:
            self.phrases.add(key, plain)
        if patterns:
            self.patterns.add(key, patterns)

    def find(self, doc: Doc, is_open: bool) -> list[tuple[str, int, int]]:
        """Give the cues in ``doc`` as (group, first token, last token + 1), without pseudo-cues.

        Args:
            doc: a sentence.
            is_open: whether phrases with open places need to be sought.
        """
        strings = self.vocab.strings
        hits = [(strings[k], a, b) for k, a, b in self.phrases(doc)]
        if is_open:
            hits += [(strings[k], a, b) for k, a, b in self.patterns(doc)]
        pseudo = [(a, b) for k, a, b in hits if k == "pseudo"]
        return [
            (k, a, b)
            for k, a, b in hits
            if k != "pseudo" and not any(p <= a < q and b - a <= q - p for p, q in pseudo)
        ]


@cache
def _context() -> _Context:
    return _Context()


def forget() -> None:
    """Let go of the words of all texts so far: spaCy keeps each for good.

    For long runs of one thread; what is judged does not change.
    """
    _context.cache_clear()


@dataclass(slots=True)
class Known:
    """What is known of a text before its candidates are judged."""

    cued: Collection[int]  # the sentences in which a cue may stand; WHOLE: any
    health: bool  # whether a health word stands in it
    trade: bool  # whether a word of another trade does


def judge(
    text: str,
    sentences: Sequence[Sentence],
    candidates: Sequence[Candidate],
    unless: Sequence[Sequence[str]],
    within: Sequence[str] = (),
    known: Known | None = None,
) -> list[Verdict | None]:
    """Judge each candidate by the guards named for it; ``None`` where it stands.

    Args:
        text: the normalised text.
        sentences: its sentences.
        candidates: what to judge, offsets into ``text``.
        unless: the guards of each candidate, by position.
        within: those of them whose cue may also stand inside of the candidate.
        known: what is known of the text, if anything is.
    """
    if not candidates:
        return []
    raw = text.encode("ascii")
    health: bool | Literal["unclear"] | None = None
    cued = known is None or bool(known.cued)
    out: list[Verdict | None] = []
    for c, guards in zip(candidates, unless, strict=True):
        if not guards:
            out.append(None)
            continue
        verdict: Verdict | None = None
        if "not_health" in guards:
            if health is None:
                health = _about_health(text, raw, known)
            # The model has read the whole text: only another trade, named, speaks against it.
            if health is False or (health == "unclear" and c.rule is not None):
                verdict = Verdict("not_health", c.start, c.start)
        if verdict is None and cued:
            verdict = _cued(text, raw, sentences, c, guards, known)
        if verdict is None and "questioned" in guards:
            verdict = _questioned(raw, sentences, c)
        if verdict is None and "supported" in guards:
            verdict = _supported(text, raw, sentences, c)
        if verdict is None and within and cued:
            last = Candidate(c.kind, c.sentence, c.end - 1, c.end, c.rule, c.score)
            some = [g for g in guards if g in within]
            verdict = _cued(text, raw, sentences, last, some, known)
        out.append(verdict)
    return out


def _cued(
    text: str,
    raw: bytes,
    sentences: Sequence[Sentence],
    c: Candidate,
    guards: Sequence[str],
    known: Known | None,
) -> Verdict | None:
    """Judge a candidate by the cues in its sentence and in the lead-in of its list."""
    for k in _scope_sentences(text, sentences, c):
        if known is not None and k not in known.cued and WHOLE not in known.cued:
            continue
        s = sentences[k]
        if not _may_be_silenced(raw, s, c, guards, lead_in=k != c.sentence):
            continue
        doc, cues = _read(text[s.start : s.end])
        verdict = _by_cue(doc, cues, sentences, k, c, guards)
        if verdict is not None:
            return verdict
    return None


def _about_health(text: str, raw: bytes, known: Known | None) -> bool | Literal["unclear"]:
    if known.health if known else HEALTH.span(raw) is not None:
        return True
    if known.trade if known else OTHER_TRADE.span(raw) is not None:
        return False
    return True if len(text.split()) < _LONG_ENOUGH else "unclear"


@lru_cache(maxsize=256)
def _read(body: str) -> tuple[Doc, list[tuple[str, int, int]]]:
    """Give a sentence's tokens and the cues among them."""
    is_open = _with_open_places().span(body.encode("ascii")) is not None
    doc = _context().tokenize(body)
    return doc, _context().find(doc, is_open)


def _may_be_silenced(
    raw: bytes, s: Sentence, c: Candidate, guards: Sequence[str], *, lead_in: bool
) -> bool:
    """Tell by a quick look whether a sentence may hold a cue that reaches the candidate."""
    reach = _reach(tuple(guards))
    if lead_in:
        return reach.lead_in.span(raw, s.start, s.end) is not None
    return (
        c.start - s.start >= _SHORTEST_CUE and reach.before.span(raw, s.start, c.start) is not None
    ) or (c.end + _SHORTEST_CUE <= s.end and reach.behind.span(raw, c.end, s.end) is not None)


def _scope_sentences(text: str, sentences: Sequence[Sentence], c: Candidate) -> tuple[int, ...]:
    """Give the candidate's sentence, and the lead-in of the list in which it stands, if any.

    "Be wary of clinics that:" speaks for the short lines below it.
    """
    k = c.sentence
    for j in range(k - 1, max(-1, k - 9), -1):
        s = sentences[j]
        if s.block == sentences[k].block:
            break
        tail = text[s.end - 1 : s.end]
        if tail == ":":
            return (k, j)
        if tail in ".!?" and s.end - s.start > 90:
            break
        if "\n\n" in text[s.end : sentences[j + 1].start] and j + 1 != k:
            break
    return (k,)


def _by_cue(
    doc: Doc,
    found: Sequence[tuple[str, int, int]],
    sentences: Sequence[Sentence],
    k: int,
    c: Candidate,
    guards: Sequence[str],
) -> Verdict | None:
    """Find the nearest cue whose reach covers the candidate."""
    base = sentences[k].start
    lead_in = k != c.sentence
    starts = [t.idx for t in doc]
    if lead_in:
        first, last = len(doc), len(doc)
    else:
        first = max(bisect_right(starts, c.start - base) - 1, 0)
        last = max(bisect_right(starts, c.end - base - 1), first + 1)
    best: tuple[int, Verdict] | None = None
    context = _context()
    for key, a, b in found:
        cue = context.cues[key]
        if cue.guard not in guards:
            continue
        if lead_in and cue.guard not in _LEADING:
            continue
        if b <= first and cue.direction in ("forward", "both"):
            between = range(b, first)
            distance = first - b
        elif a >= last and cue.direction in ("backward", "both"):
            between = range(last, a)
            distance = a - last
        elif lead_in:
            between, distance = range(b, len(doc) - 1), 0
        else:
            continue
        if distance > cue.scope:
            continue
        if any(doc[i].lower_ in context.terminators or doc[i].lower_ in cue.stop for i in between):
            continue
        start = base + doc[a].idx
        end = base + doc[b - 1].idx + len(doc[b - 1])
        if best is None or distance < best[0]:
            best = (distance, Verdict(cue.guard, start, end))
    return best[1] if best else None


def _questioned(raw: bytes, sentences: Sequence[Sentence], c: Candidate) -> Verdict | None:
    s = sentences[c.sentence]
    if b"?" not in raw[max(min(c.end, s.end - 1), s.end - 3) : s.end]:
        return None
    if c.sentence + 1 >= len(sentences):
        return None
    n = sentences[c.sentence + 1]
    answer = _SOBER_ANSWER.span(raw[n.start : n.end])
    return Verdict("questioned", n.start + answer[0], n.start + answer[1]) if answer else None


@lru_cache(maxsize=1)
def _bibliography(text: str) -> dict[str, tuple[int, int]]:
    """Give where each numbered source is listed: a line that begins so and holds a year."""
    out: dict[str, tuple[int, int]] = {}
    for m in _ENTRY.finditer(text):
        out.setdefault(m[1], m.span())
    return out


def _supported(
    text: str, raw: bytes, sentences: Sequence[Sentence], c: Candidate
) -> Verdict | None:
    for k in (c.sentence, c.sentence + 1):
        if k >= len(sentences):
            break
        s = sentences[k]
        if not _SUPPORT_GATE.search(text, s.start, s.end):
            continue
        body = raw[s.start : s.end]
        if span := _SUPPORT.span(body):
            return Verdict("supported", s.start + span[0], s.start + span[1])
        if k == c.sentence and (groups := _CITATION.groups(body, 0, len(body))):
            a, b = groups[1] if groups[1] != NONE else groups[2]
            entry = _bibliography(text).get(body[a:b].decode())
            if entry:
                return Verdict("supported", *entry)
    return None
