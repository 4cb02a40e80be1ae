"""Undo evasions, with a map back to the text as given.

The result is pure ASCII, so that everything behind it (RE2 counts bytes) can use one kind of
offset. What has no ASCII form becomes one placeholder: ``$`` any currency sign, ``*`` a star,
``^`` any other symbol or emoji, ````` a letter of another script. Plain ASCII text takes a fast
path. What is undone: homoglyphs, full-width, mathematical, circled and small-capital letters,
zero-width and combining characters, letters spaced or dotted apart, l33t inside known words.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from hypecheck.regexp import Regexp

# Look-alikes that Unicode's compatibility forms (NFKC) do not fold; from Unicode's confusables
# (UTS 39) for the letters that advertisers use. They count only inside words that also hold
# Latin letters or nothing but look-alikes beside Latin words, so Russian stays Russian.
_LOOKALIKE = dict(
    zip(
        "АВСЕНІЈКМОРЅТХУаесіјорѕухһԁԛԝьӏҮүΑΒΕΖΗΙΚΜΝΟΡΤΥΧαιοκνρτυχγԌցոսօհոզյⲟⲥ",
        "ABCEHIJKMOPSTXYaecijopsyxhdqwblYyABEZHIKMNOPTYXaiokvptuxyGgnsohnqjoc",
        strict=True,
    )
)
_SMALL = dict(zip("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡʏᴢıȷɑɡⅼ", "abcdefghijklmnopqrstuvwyzijagl", strict=True))
_PUNCTUATION = {
    "‘": "'", "’": "'", "‚": "'", "‛": "'", "′": "'", "´": "'", "ʼ": "'", "`": "'", "＇": "'",
    "“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "«": '"', "»": '"', "‹": '"', "›": '"',
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "﹣": "-", "⁃": "-",
    "…": "...", "•": "^", "·": "^", "●": "^", "▪": "^", "◦": "^", "‣": "^", "∙": "^",
    "×": "x", "✕": "^", "÷": "/", "⁄": "/", "∕": "/", "©": "^", "®": "^", "™": "^", "°": "^",
    "ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d",
    "ł": "l", "Ł": "L", "ð": "d", "þ": "th", "¡": "!", "¿": "?", "‼": "!!", "⁉": "!?", "❗": "!",
    "❕": "!", "❓": "?", "❔": "?", "。": ".", "，": ",", "％": "%", "﹪": "%", "💯": "100%",
    "½": "1/2", "¼": "1/4", "¾": "3/4", "\u2028": "\n", "\u2029": "\n", "\x85": "\n",
    "⭐": "*", "★": "*", "☆": "*", "🌟": "*", "✯": "*", "✩": "*",
}  # fmt: skip
_GONE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\U000e0001-\U000e01ef\U0001f3fb-\U0001f3ff]"
)
# One look decides whether ASCII text needs more than the fast path.
_SUSPECT = re.compile(
    r"[A-Za-z](?:[@$*!|0-9+][A-Za-z@$*!|0-9]|[ ._*~|\-][A-Za-z](?:[ ._*~|\-][A-Za-z]\b))"
    r"|[A-Za-z][._*~|\-]+[a-z]+[._*~|\-]+[a-z]"
    r"|[A-Za-z]{2}[._*~|][a-z]"
    r"|(?:^|[\s(\"'])[@$0-9*!|][A-Za-z]{2}|[A-Za-z]{3}[0-9@$+](?![A-Za-z0-9])|[\r\t\f\v\x00-\x08\x0e-\x1f\x7f`]"
)
# The same for RE2, for whole texts. Its \\s lacks what the last class holds anyway.
_ANY_SUSPECT = Regexp(_SUSPECT.pattern.replace("(?![A-Za-z0-9])", "(?:[^A-Za-z0-9]|$)"), case=True)
_ODD = re.compile("[^\n\t\x20-\x5f\x61-\x7e]")
_SPACED = re.compile(
    r"(?<![A-Za-z0-9'])[A-Za-z0-9@$!](?:(?: [A-Za-z0-9@$!*]){3,}|(?:\.[A-Za-z0-9@$!*]){3,}"
    r"|(?:-[A-Za-z0-9@$!*]){3,}|(?:_[A-Za-z0-9@$!*]){3,}|(?:\*[A-Za-z0-9@$!]){3,}"
    r"|(?:~[A-Za-z0-9@$!*]){3,}|(?:\|[A-Za-z0-9@$!*]){3,})(?![A-Za-z0-9'])"
)
_BROKEN = re.compile(r"(?<![\w.@/-])[A-Za-z]+(?:[._*~|^\-]+[A-Za-z]+)+(?![\w@/])")
_LEET = re.compile(
    r"(?<![\w@$*!|+./-])(?=[A-Za-z@$*!|0-9+]{0,24}[A-Za-z])[A-Za-z@$*!|0-9+]{3,24}(?![\w@/])"
)
# Without a hit of these, the three find nothing that could be a disguise.
_MAY_BE_SPACED = Regexp(r"[A-Za-z0-9@$!](?:[ ._*~|\-][A-Za-z0-9@$!*]){3}", case=True)
_MAY_BE_BROKEN = Regexp(r"[A-Za-z][._*~|^\-]+[A-Za-z]", case=True)
_MAY_BE_LEET = Regexp(
    r"[A-Za-z][@$*!|0-9+]+[A-Za-z0-9@$]|[@$*!|0-9+][A-Za-z]|[A-Za-z][0-9@$]", case=True
)
_LEET_CHAR = {
    "4": "a", "@": "a", "3": "e", "1": "il", "!": "il", "|": "il", "0": "o", "5": "s", "$": "s",
    "7": "t", "+": "t", "8": "b", "9": "g", "6": "g", "2": "z", "*": "aeiou",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Normalised:
    """ASCII text, and where each of its characters came from.

    ``edits`` is sparse: pairs (position in ``text``, position as given), each valid up to the
    next pair; empty when both are the same. ``ends`` are the matching exclusive ends.
    """

    text: str
    size: int  # code points of the text as given
    at: tuple[int, ...] = ()
    origin: tuple[int, ...] = ()
    step: tuple[int, ...] = ()  # 1: counts along with the text; 0: several characters from one

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Map ``[start, end)`` in ``text`` to the text as given; never empty unless it was."""
        if not self.at:
            return start, end
        a = self._one(start)
        b = self._one(end - 1) + 1 if end > start else a
        return min(a, self.size), min(max(b, a), self.size)

    def spans(self, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Map spans that are none of them empty, one behind the other, in one go."""
        at, origin, step, size = self.at, self.origin, self.step, self.size
        if not at:
            return list(pairs)
        out = []
        k, last = 0, len(at) - 1
        for start, end in pairs:
            while k < last and at[k + 1] <= start:
                k += 1
            a = origin[k] + (start - at[k]) * step[k]
            end -= 1
            while k < last and at[k + 1] <= end:
                k += 1
            b = origin[k] + (end - at[k]) * step[k] + 1
            out.append((min(a, size), min(max(b, a), size)))
        return out

    def _one(self, i: int) -> int:
        k = bisect_right(self.at, i) - 1
        return self.origin[k] + (i - self.at[k]) * self.step[k]


def normalise(text: str, evasions: Collection[str] = ()) -> Normalised:
    """Give the ASCII form of ``text``; ``evasions`` are the words sought behind disguises.

    Linear in the length of ``text``; total on any string, lone surrogates and NUL included.
    """
    return normalise_many([text], evasions)[0]


def normalise_many(texts: Sequence[str], evasions: Collection[str] = ()) -> list[Normalised]:
    """Do :func:`normalise` for many texts."""
    out = [Normalised(t, len(t)) if t.isascii() else _folded(t) for t in texts]
    for d in _suspects([n.text for n in out]):
        n, text = out[d], texts[d]
        if text.isascii():  # control characters, perhaps
            n = out[d] = _folded(text)
            if not _any_suspect(n.text):
                continue
        cuts = _disguises(n.text, evasions) if evasions else []
        if cuts:
            out[d] = _assemble(n.text, _origins(n), cuts, n.size)
    return out


def _suspects(texts: Sequence[str]) -> list[int]:
    """Give the texts in which a disguise may stand, all looked through at once."""
    found: list[int] = []
    # To the pattern, a newline is what the start and the end of a text are.
    raw = "\n".join(texts).encode("ascii")
    ends = list(accumulate(len(t) + 1 for t in texts))
    at = 0
    while (span := _ANY_SUSPECT.span(raw, at)) is not None:
        start = span[0] + (raw[span[0]] == 10)
        d = bisect_right(ends, start)
        found.append(d)
        at = ends[d] - 1
    return found


def _any_suspect(text: str) -> bool:
    return _ANY_SUSPECT.span(text.encode("ascii")) is not None


def _origins(n: Normalised) -> list[int]:
    """Give for each character where it came from."""
    if not n.at:
        return list(range(len(n.text)))
    ends = [*n.at[1:], len(n.text)]
    return [
        o + i * s
        for a, b, o, s in zip(n.at, ends, n.origin, n.step, strict=True)
        for i in range(b - a)
    ]


def _folded(text: str) -> Normalised:
    """Fold every character to ASCII."""
    plain = text
    for c in set(_ODD.findall(text)):
        put = "" if c.isascii() else _ascii(c)
        if len(put) != 1:
            plain, at, come, step = _fold(text)
            return Normalised(plain, len(text), tuple(at), tuple(come), tuple(step))
        plain = plain.replace(c, put)
    return Normalised(plain, len(text))  # character by character: nothing has moved


def _fold(text: str) -> tuple[str, list[int], list[int], list[int]]:
    """Fold every character to ASCII; the lists are those of :class:`Normalised`."""
    out: list[str] = []
    at: list[int] = []
    come: list[int] = []
    step: list[int] = []
    size = last = 0
    moved = True  # the next character does not follow the last one in both texts
    latin = _mixed_script(text)
    for m in _ODD.finditer(text):
        i = m.start()
        if i > last:
            if moved:
                at.append(size)
                come.append(last)
                step.append(1)
                moved = False
            out.append(text[last:i])
            size += i - last
        last = i + 1
        c = m[0]
        put = _ascii(c) if not c.isascii() else _control(c, text, i)
        if put == "?L":
            put = _LOOKALIKE[c] if i in latin else "`"
        if not put:
            moved = True
            continue
        if moved:
            at.append(size)
            come.append(i)
            step.append(1)
        moved = len(put) > 1
        if moved:  # several characters from one
            at.append(size + 1)
            come.append(i)
            step.append(0)
        out.append(put)
        size += len(put)
    if last < len(text):
        if moved:
            at.append(size)
            come.append(last)
            step.append(1)
        out.append(text[last:])
    return "".join(out), at, come, step


def _control(c: str, text: str, i: int) -> str:
    """Fold an ASCII character that is none to read."""
    if c == "\r" and text[i + 1 : i + 2] == "\n":
        return ""
    return "\n" if c in "\r\f\v" else "'" if c == "`" else " "


def _mixed_script(text: str) -> frozenset[int]:
    """Give the indexes of look-alike letters that stand in words meant to be read as Latin."""
    if text.isascii() or not any(c in _LOOKALIKE for c in set(text)):
        return frozenset()
    inside: set[int] = set()
    has_latin_words = re.search(r"[A-Za-z]{3}", text) is not None
    for m in re.finditer(r"[^\W\d_]+", text):
        word = m[0]
        alike = [j for j, c in enumerate(word) if c in _LOOKALIKE]
        if alike and (
            any(c.isascii() for c in word) or (len(alike) == len(word) and has_latin_words)
        ):
            inside.update(m.start() + j for j in alike)
    return frozenset(inside)


@lru_cache(maxsize=8192)
def _ascii(c: str) -> str:
    """Give the ASCII form of one non-ASCII character; ``?L`` marks a look-alike letter."""
    if c in _PUNCTUATION:
        return _PUNCTUATION[c]
    if c in _SMALL:
        return _SMALL[c]
    if c in _LOOKALIKE:
        return "?L"
    if _GONE.match(c):
        return ""
    code = ord(c)
    for first in (0x1F130, 0x1F150, 0x1F170):  # squared, circled, negative squared capitals
        if first <= code < first + 26:
            return chr(ord("A") + code - first)
    if 0x1F1E6 <= code <= 0x1F1FF:  # regional indicators: flags
        return "^"
    kind = unicodedata.category(c)
    if kind in ("Mn", "Me", "Cf"):
        return ""
    if kind == "Sc":
        return "$"
    folded = unicodedata.normalize("NFKD", c)
    plain = "".join(x for x in folded if x.isascii())
    if plain and all(x.isascii() or unicodedata.category(x) in ("Mn", "Me") for x in folded):
        return plain
    if folded != c and len(folded) == 1:
        return _ascii(folded) if _ascii(folded) != "?L" else _LOOKALIKE[folded]
    if kind in ("Zs", "Zl", "Zp"):
        return " "
    if kind[0] in "LM":
        return "`"
    if kind[0] == "N":
        digit = unicodedata.digit(c, None)
        return "^" if digit is None else str(digit)
    return "^"


Cut = tuple[int, int, list[tuple[int, str]]]  # [start, end) becomes these characters, each from …


def _disguises(text: str, evasions: Collection[str]) -> list[Cut]:
    """Find spaced, broken and l33t words: what to replace, by what, and from which positions."""
    cuts: list[Cut] = []
    taken = 0
    spans: list[tuple[int, int, str]] = []
    raw = text.encode("ascii")
    if _MAY_BE_SPACED.span(raw) is not None:
        spans += [(m.start(), m.end(), "spaced") for m in _SPACED.finditer(text)]
    if _MAY_BE_BROKEN.span(raw) is not None:
        spans += [(m.start(), m.end(), "broken") for m in _BROKEN.finditer(text)]
    if _MAY_BE_LEET.span(raw) is not None:
        spans += [
            (m.start(), m.end(), "leet")
            for m in _LEET.finditer(text)
            if not m[0].rstrip("!*|+").isalpha()  # a word as it is
        ]
    for start, end, how in sorted(spans, key=lambda s: (s[0], -s[1])):
        if start < taken:
            continue
        if how == "leet":
            while text[end - 1] in "!*|+":  # marks behind a word are not part of it
                end -= 1
            keep = [(i, text[i]) for i in range(start, end)]
        elif how == "spaced":
            keep = [(i, text[i]) for i in range(start, end, 2)]
        else:
            keep = [(i, text[i]) for i in range(start, end) if text[i].isalpha()]
            if end - start == len(keep) + 1 and "-" in text[start:end]:
                continue  # one hyphen is a compound or a line's end, not a disguise
        if not _SUSPECT.search(text[max(start - 1, 0) : end + 1]):
            continue  # pure ASCII text would not be looked into for it either
        word = "".join(c for _, c in keep)
        plain = None if how == "leet" and word.isalpha() else _unleet(word, evasions)
        if plain is None and how == "spaced" and word[:1] in ("a", "A", "I"):
            behind = _unleet(word[1:], evasions)  # "a g u a r a n t e e": a word of its own first
            if behind is not None:
                start, keep, plain = start + 2, keep[1:], behind
        if plain is None and how == "spaced" and word.isalpha() and text[start + 1] == " ":
            plain = word
        if plain is None:
            continue
        cuts.append((start, end, [(i, p) for (i, _), p in zip(keep, plain, strict=False)]))
        taken = end
    return cuts


def _unleet(word: str, evasions: Collection[str]) -> str | None:
    """Read ``word`` as one of ``evasions``, keeping its case; None where it is not one."""
    low = word.lower()
    if low in evasions:
        return word[: len(low)]
    if low.isalpha() or len(low) < 3:
        return None
    pattern = "".join(
        f"[{_LEET_CHAR[c]}{c if c.isdigit() else ''}]" if c in _LEET_CHAR else re.escape(c)
        for c in low
    )
    first = set(_LEET_CHAR.get(low[0], low[0]))
    for candidate in _in_order(frozenset(evasions)):
        if (
            len(candidate) == len(low)
            and candidate[0] in first
            and re.fullmatch(pattern, candidate)
        ):
            return "".join(
                p.upper() if w.isupper() else p for p, w in zip(candidate, word, strict=False)
            )
    return None


@lru_cache(maxsize=8)
def _in_order(evasions: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(evasions))


def _assemble(plain: str, origin: list[int], cuts: list[Cut], size: int) -> Normalised:
    """Apply ``cuts`` and compress the positions into a sparse list of edits."""
    out: list[str] = []
    where: list[int] = []
    last = 0
    for start, end, put in cuts:
        out.append(plain[last:start])
        where += origin[last:start]
        out.append("".join(c for _, c in put))
        where += [origin[i] for i, _ in put]
        last = end
    out.append(plain[last:])
    where += origin[last:]
    text = "".join(out)
    at: list[int] = []
    come: list[int] = []
    step: list[int] = []
    previous, run = -2, -1
    for i, o in enumerate(where):
        if o == previous + 1 and run == 1:
            pass
        elif o == previous:
            if run != 0:
                at.append(i)
                come.append(o)
                step.append(0)
                run = 0
        else:
            at.append(i)
            come.append(o)
            step.append(1)
            run = 1
        previous = o
    return Normalised(text, size, tuple(at), tuple(come), tuple(step))
