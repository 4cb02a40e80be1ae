"""Evasions undone, and the map back to the text as given."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hypecheck.normalise import Normalised, normalise, normalise_many
from hypecheck.ruleset import load

EVASIONS = load().evasions


def plain(text: str) -> str:
    return normalise(text, EVASIONS).text


UNDONE = {
    "Cyrillic letter": ("сure", "cure"),
    "Cyrillic word among Latin ones": ("our сосоа plan", "our cocoa plan"),
    "Greek letter": ("guαrantee", "guarantee"),
    "full width": ("ｃｕｒｅ　ｎｏｗ！", "cure now!"),
    "bold": ("𝐜𝐮𝐫𝐞", "cure"),
    "script": ("𝓒𝓾𝓻𝓮", "Cure"),
    "fraktur": ("𝔠𝔲𝔯𝔢", "cure"),
    "circled": ("ⓒⓤⓡⓔ", "cure"),
    "squared": ("🄲🆄🅁🅴", "CURE"),
    "small capitals": ("ᴄᴜʀᴇ", "cure"),
    "ligature": ("ﬁx", "fix"),
    "accents": ("cüré", "cure"),
    "combining accents": ("c\u0301u\u0308re\u0301", "cure"),
    "zero-width space": ("cu\u200bre", "cure"),
    "joiners": ("g\u200du\u2060a\u200crantee", "guarantee"),
    "soft hyphen": ("gua\u00adran\u00adteed", "guaranteed"),
    "byte order mark": ("\ufeffcure", "cure"),
    "direction override": ("cu\u202ere\u202c", "cure"),
    "variation selector": ("cure\ufe0f", "cure"),
    "skin tone": ("👍🏽", "^"),
    "spaced": ("one g u a r a n t e e d cure", "one guaranteed cure"),
    "spaced behind an article": ("a g u a r a n t e e d cure", "a guaranteed cure"),
    "spaced capitals": ("C U R E S arthritis", "CURES arthritis"),
    "spaced by no-break spaces": ("c\u00a0u\u00a0r\u00a0e", "cure"),
    "spaced word outside the list": ("z o r b now", "zorb now"),
    "two spaced words": ("p a i n  f r e e", "pain  free"),
    "dotted": ("g.u.a.r.a.n.t.e.e.d", "guaranteed"),
    "dotted with a last stop": ("c.u.r.e.", "cure."),
    "hyphenated letter by letter": ("r-e-s-u-l-t-s", "results"),
    "underscored": ("m_i_r_a_c_l_e", "miracle"),
    "broken by stops": ("gua.ran.teed results", "guaranteed results"),
    "broken by a star": ("mira*cle", "miracle"),
    "star for a vowel": ("c*re", "cure"),
    "star in capitals": ("C*RES", "CuRES"),
    "digit for a letter": ("gu4rantee", "guarantee"),
    "several digits": ("m1r4cl3", "miracle"),
    "at sign": ("p@inless", "painless"),
    "dollar sign": ("$ave today", "save today"),
    "exclamation mark inside": ("m!racle!", "miracle!"),
    "spaced and l33t": ("g u 4 r a n t e e d", "guaranteed"),
    "l33t in capitals": ("CURE5 PA1N", "CURES PAIN"),
}


@pytest.mark.parametrize(("text", "wanted"), UNDONE.values(), ids=UNDONE)
def test_disguise_is_undone(text: str, wanted: str) -> None:
    assert plain(text).lower() == wanted.lower()


FOLDED = {
    "quotes": ("“it’s” «so» ‘x’", '"it\'s" "so" \'x\''),
    "dashes": ("a – b — c − d ‑ e", "a - b - c - d - e"),
    "ellipsis": ("wait…", "wait..."),
    "any currency": ("€5 £5 ₹5 $5", "$5 $5 $5 $5"),
    "bullet and emoji": ("• cure 🔥", "^ cure ^"),
    "flag": ("🇬🇧", "^^"),
    "stars": ("★⭐", "**"),
    "hundred": ("💯", "100%"),
    "fraction": ("½", "1/2"),
    "number signs": ("① ² Ⅳ ٣", "1 2 IV 3"),
    "keycap": ("5️⃣", "5"),
    "sharp s": ("Straße", "Strasse"),
    "spaces": ("a\u00a0b\u2003c\u3000d", "a b c d"),
    "line ends": ("a\r\nb\rc\u2028d\x85e", "a\nb\nc\nd\ne"),
    "control characters": ("a\x00b\x1bc\x7fd", "a b c d"),
    "tab": ("a\tb", "a\tb"),
    "backtick": ("don`t", "don't"),
    "lone surrogate": ("a\ud800b", "a^b"),
    "other scripts": ("漢字 שלום", "`` ````"),
}


@pytest.mark.parametrize(("text", "wanted"), FOLDED.values(), ids=FOLDED)
def test_character_has_an_ascii_form(text: str, wanted: str) -> None:
    assert normalise(text).text == wanted


LEFT_ALONE = {
    "abbreviations": "e.g. at 9 a.m. in the U.S.A. and the U.K.",
    "hyphenated words": "pain-free, self-cure and follow-up",
    "dose names": "B12, 5-HTP, CO2 and H2O",
    "prices": "$5 to $1,200.50 or 3 x 4",
    "web address": "see www.gua.ran.teed.com",
    "mail address": "write to cure@clinic.example",
    "emphasis": "*free* and **cure** and _now_",
    "word outside the list": "b3an and s0up",
    "few spaced letters": "plan a b or c",
    "spaced numbers": "1 0 0 %",
}


@pytest.mark.parametrize("text", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert plain(text) == text
    assert plain(f"{text} é") == f"{text} e"


def test_russian_stays_russian() -> None:
    assert plain("Мы лечим артрит, cure") == "`` ````` ``````, cure"
    assert "c" not in plain("сок и сор")


def test_words_are_sought_only_when_given() -> None:
    assert normalise("c*re gu4rantee g.u.a.r").text == "c*re gu4rantee g.u.a.r"


ELSEWHERE = [
    "we cure",
    "c*re it",
    "gu4rantee",
    "cur3 it",
    "result5",
    "$ave now",
    '"$ave" now',
    "gua.rantee",
    "gua-rantee",
    "c-u-r-e",
    "C U R E",
    "!nstant relief",
    "PA_IN",
    "c_ure it",
    "fa7",
]


@pytest.mark.parametrize("text", ELSEWHERE)
def test_emoji_elsewhere_does_not_change_how_a_word_is_read(text: str) -> None:
    assert plain(f"{text}. 🔥") == f"{plain(text)}. ^"


# The map back


def test_ascii_takes_the_fast_path() -> None:
    text = "Our clinic (est. 2012) cures nothing - at $5.00; call 555-1234!\n* Really?"
    assert normalise(text, EVASIONS) == Normalised(text, len(text))
    assert normalise(text, EVASIONS).text is text


MAPPED = {
    "nothing changed": ("we cure it", "cure", "cure"),
    "after an emoji": ("🔥🔥 we cure it", "cure", "cure"),
    "homoglyph": ("we сure it", "cure", "сure"),
    "zero-width inside": ("we c\u200bure it", "cure", "c\u200bure"),
    "zero-width around": ("we \u200bcure\u200b it", "cure", "cure"),
    "spaced": ("we g u a r a n t e e it", "guarantee", "g u a r a n t e e"),
    "behind spaced": ("g u a r a n t e e d cure", "cure", "cure"),
    "broken": ("we gua.ran.tee it", "guarantee", "gua.ran.tee"),
    "l33t": ("we gu4rantee it", "guarantee", "gu4rantee"),
    "one to three": ("so…cure", "...", "…"),
    "behind one to three": ("so…cure", "cure", "cure"),
    "inside one to three": ("so…", "..", "…"),
    "many to one": ("c\u0301\u0301ure", "cure", "c\u0301\u0301ure"),
    "ligature": ("we ﬁx it", "fix", "ﬁx"),
    "half of a ligature": ("we ﬁx it", "ix", "ﬁx"),
    "line end": ("a\r\ncure", "cure", "cure"),
}


@pytest.mark.parametrize(("text", "found", "given_as"), MAPPED.values(), ids=MAPPED)
def test_span_maps_back_to_the_text_as_given(text: str, found: str, given_as: str) -> None:
    n = normalise(text, EVASIONS)
    at = n.text.index(found)
    start, end = n.span(at, at + len(found))
    assert text[start:end] == given_as


def test_empty_span_stays_empty() -> None:
    for text in ("", "abc", "é\u200b"):
        n = normalise(text)
        for i in range(len(n.text) + 1):
            start, end = n.span(i, i)
            assert start == end <= len(text)


DISGUISED = st.lists(
    st.one_of(
        st.sampled_from(["cure", "c*re", "c u r e ", "g.u.a.r", "gua.ran", "½", "…", "🔥", "\r\n"]),
        st.text(st.characters(), max_size=4),
        st.text("cure*4.$ -\u200b\u0301éс…", max_size=8),
    ),
    max_size=8,
).map("".join)


@given(DISGUISED)
@example("\ud800\udfff\x00")
@example("\u200b")
def test_any_string_becomes_ascii_with_a_monotone_map(text: str) -> None:
    n = normalise(text, EVASIONS)
    assert n.text.isascii()
    assert n.size == len(text)
    spans = [n.span(i, i + 1) for i in range(len(n.text))]
    assert all(0 <= a < b <= len(text) for a, b in spans)
    assert all(a <= c for (a, _), (c, _) in pairwise(spans))
    assert n == normalise(text, EVASIONS)


@given(DISGUISED)
def test_map_is_no_larger_than_the_text(text: str) -> None:
    n = normalise(text, EVASIONS)
    assert len(n.at) == len(n.origin) == len(n.step) <= 2 * len(text)
    assert list(n.at) == sorted(set(n.at))


def test_edits_do_not_grow_with_ordinary_text() -> None:
    one, many = (normalise("naïve “cure” for knees " * k) for k in (1, 1000))
    assert len(one.at) == len(many.at) == 0
    assert len(normalise("c\u200bure " * 1000).at) <= 2 * 1000 + 1


ODD = ["$ave now", "", "\n", "c.u.r.e", "cur3", "b0tox", "a\tb", "“é”", "Сure"]


@given(
    st.lists(st.one_of(st.sampled_from(ODD), st.text("aB$0. \n-*é…🔥", max_size=12)), max_size=6)
)
def test_many_texts_are_normalised_as_each_alone(several: list[str]) -> None:
    evasions = ("cure", "save", "botox")
    assert normalise_many(several, evasions) == [normalise(t, evasions) for t in several]
