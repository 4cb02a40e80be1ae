"""HTML to text: what a visitor sees, block by block, whatever the markup."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypecheck.page import looks_like_html, page_text

HIDDEN = {
    "script": "<script>no('<p>no</p>')</script>",
    "style": "<style>no{}</style>",
    "noscript": "<noscript><p>no</p></noscript>",
    "template": "<template><p>no</p></template>",
    "nav": "<nav><a>no</a></nav>",
    "navigation role": "<div role=navigation>no</div>",
    "svg": "<svg><title>no</title><text>no</text></svg>",
    "hidden": "<div hidden>no<p>no</p></div>",
    "aria-hidden": "<div aria-hidden=true>no</div>",
    "display none": '<p style="color:red; DISPLAY : none">no</p>',
    "visibility hidden": "<p style='visibility:hidden'>no</p>",
    "comment": "<!-- no -->",
    "textarea": "<textarea>no</textarea>",
    "input value": "<input name=a value=no>",
    "cookie banner": "<div id=cookie-bar><p>no</p><button>no</button></div>",
    "consent dialog": "<div role=dialog aria-label='Cookie settings'>no</div>",
    "consent banner": "<div class='consent-banner show'>no</div>",
    "logo": "<img alt='Acme clinic logo'>",
    "file name": "<img alt='IMG 2034.jpg'>",
    "one-word alt": "<img alt=Doctor>",
}


@pytest.mark.parametrize("html", HIDDEN.values(), ids=HIDDEN)
def test_what_a_visitor_does_not_see_is_dropped(html: str) -> None:
    assert page_text(f"<body><p>Before.</p>{html}<p>After.</p>") == "Before.\nAfter."
    assert page_text(f"<p>One {html}two.</p>").replace("\n", " ").split() == ["One", "two."]


SHOWN = {
    "title first": ("<title>T &amp; Co</title><h1>H</h1>", "T & Co\nH"),
    "description left out": ("<meta name=description content=no><p>A", "A"),
    "headings": ("<h1>A</h1><h2>B</h2>", "A\nB"),
    "list items": ("<ul><li>A<li>B<ul><li>C</ul></ul>", "A\nB\nC"),
    "cells": ("<table><caption>P</caption><tr><th>A<td>B<tr><td>C</table>", "P\nA\nB\nC"),
    "button": ("<p>A</p>B<button>Book <b>now</b></button>C", "A\nB\nBook now\nC"),
    "submit": ("<form>A<input type=submit value='Claim 50% off'>B", "A\nClaim 50% off\nB"),
    "icon button": ("<button aria-label='Call us'><svg></svg></button>", "Call us"),
    "named button keeps its text": ("<button aria-label=X>Book</button>", "Book"),
    "options": ("<label>Pain<select><option>Knee<option>Hip</select>", "Pain\nKnee\nHip"),
    "caption": ("<figure><img alt=''><figcaption>After 6 weeks</figcaption></figure>A", None),
    "alt with words": ("<img alt='Before and after knee photo'>", "Before and after knee photo"),
    "alt after its sentence": ("<p>Pain <img alt='Two knees'> gone.</p>", "Pain gone.\nTwo knees"),
    "emoji image": ("<p>Hot <img class=emoji alt='🔥'> deal</p>", "Hot 🔥 deal"),
    "line break": ("<p>A<br>B", "A\nB"),
    "details": ("<details><summary>Safe?</summary>Yes.</details>", "Safe?\nYes."),
    "quote and source": ("<blockquote>Great!<footer>Jane</footer></blockquote>", "Great!\nJane"),
    "terms": ("<dl><dt>Risk<dd>None</dl>", "Risk\nNone"),
    "footer": ("<p>A</p><footer>Results vary.</footer>", "A\nResults vary."),
    "inline tags": ("<p>Guar<b>an</b>te<span>ed</span> <a href=#>now</a>", "Guaranteed now"),
    "quotation marks": ("<p>They <q>cure</q> it", "They “cure” it"),
    "footnote mark": (
        "<p>Proven<sup>1,2</sup> 10<sup>th</sup> X<sup>TM</sup>",
        "Proven¹,² 10th X™",
    ),
    "entities": ("<p>caf&eacute;&nbsp;&#x1F525; &lt;b&gt;", "café 🔥 <b>"),
    "white space": ("<p>  A \n\t B  </p>\n\n <p>C", "A B\nC"),
    "preformatted": ("<pre>A\n  B</pre>", "A\nB"),
    "links as buttons": ("<div><a>Book</a><a>Call</a></div>", "Book\nCall"),
    "styled as block": ("A<span style='display:block'>B</span>C", "A\nB\nC"),
    "body hidden until a script runs": ("<body style='visibility:hidden'>A", "A"),
    "page whose body speaks of cookies": ("<body class=cookie-set><p>A", "A"),
    "wrapper named after cookies": ("<div class=cookie-wrap><main>A</main></div>", "A"),
    "informed consent": ("<section id=informed-consent>Risks.</section>", "Risks."),
    "responsive twin": ("<p>A</p><p>A</p><p>B</p>", "A\nB"),
    "nested page": ("<table><tr><td><table><tr><td>A</table><td>B</table>", "A\nB"),
}
SHOWN["caption"] = (SHOWN["caption"][0], "After 6 weeks\nA")


@pytest.mark.parametrize(("html", "text"), SHOWN.values(), ids=SHOWN)
def test_what_a_visitor_sees_is_kept_one_block_a_line(html: str, text: str) -> None:
    assert page_text(html) == text


def test_twin_sections_are_kept_once() -> None:
    part = "<div><h2>Only 3 spots left this month</h2><p>Act now, the offer ends tonight.</p></div>"
    once = "Only 3 spots left this month\nAct now, the offer ends tonight."
    assert page_text(part * 2 + "<p>End</p>") == f"{once}\nEnd"


def test_repeats_apart_are_no_twins() -> None:
    assert page_text("<p>Book now</p><p>A</p><p>Book now</p>") == "Book now\nA\nBook now"


def test_block_in_lower_case_does_not_continue_the_line_before() -> None:
    first = "works for everyone in any stage of the disease you may have"
    assert page_text(f"<ul><li>{first}<li>no side effects</ul>") == f"{first}\n\nno side effects"


PAGES = {
    "document": "\ufeff <!DOCTYPE HTML><p>x",
    "after declaration and comments": "<?xml version='1.0'?><!-- a --> <!-- b --><html>",
    "fragment": "<h1>Knees</h1><p>Cured.</p>",
    "one paragraph": "<p class='a'>Hello</p>",
    "unclosed items": "<li>a<li>b",
    "line breaks": "Save<br>50%<br/>now<br>",
    "text first": "Hello <div>a</div><div>b</div>",
}
PROSE = {
    "heart": "We <3 knees, pain < 5 and > 2",
    "bold": "<b>Now</b> with <i>PRP</i>",
    "address": "<info@clinic.example> or <https://x.example/p>",
    "one tag named": "Put it in a <p> tag.",
    "angle quotes": "<<Miracle>> <cure>",
    "long text with one block": "One.\n\nTwo.\n\n<div>Three</div>\n\n" + "Four.\n\n" * 9,
    "empty": "",
}


@pytest.mark.parametrize("text", PAGES.values(), ids=PAGES)
def test_page_is_recognised(text: str) -> None:
    assert looks_like_html(text)


@pytest.mark.parametrize("text", PROSE.values(), ids=PROSE)
def test_prose_is_no_page(text: str) -> None:
    assert not looks_like_html(text)


TAGS = st.sampled_from(
    re.findall(
        r"<[^>]*>|\S+",
        "<p></p><div></div><b></b><a><br><table><td></table><ul><li><sup></sup><q><pre><select>"
        "<option><button><svg></svg><title><textarea><noscript></noscript><template><plaintext>"
        "<script></script><frameset><math><i id=x><img alt='a b'><div hidden><a b=' \"><!-> "
        "<!-- --> "
        "< &amp; &#0; ' \" >",
    )
)


@given(st.lists(st.one_of(TAGS, st.text(max_size=5)), max_size=12).map("".join))
def test_any_string_gives_tidy_text(html: str) -> None:
    text = page_text(html)
    assert text == page_text(html)
    lines = text.split("\n")
    assert all(line == line.strip() and "  " not in line for line in lines)
    assert not text or (lines[0] and lines[-1])
    assert isinstance(looks_like_html(html), bool)


@settings(max_examples=30)
@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_escaped_text_comes_back(text: str) -> None:
    import html

    # Python's white space is wider than HTML's; NUL, CR and the C1 range are HTML's own affair.
    plain = "".join(c for c in text if c.isprintable())
    assert page_text(f"<p>{html.escape(plain)}</p>") == " ".join(plain.split())


N = 300_000
HARD = {
    "deep blocks": "<div>" * 100_000 + "x" + "</div>" * 100_000,
    "deep and crossed": "<div><table></div></table>" * 9000 + "x",
    "deep inline": "<span>" * 100_000 + "x",
    "deep unknown": "<x-y>" * 60_000 + "x",
    "open formatting": "".join(f"<b id={i}>" for i in range(50)) + "<p>x" * 20_000,
    "crossed formatting": "<b></p>" * 30_000 + "x",
    "many attributes": "<p " + "/".join(f"a{i}" for i in range(N // 8)) + ">x",
    "many closing attributes": "</p " + "\t".join(f"a{i}=''" for i in range(N // 10)) + ">x",
    "open noscripts": "x" + "<noscript>" * (N // 10),
    "open comments": "x" + "<!-- " * (N // 5),
    "open quotes": "x" + '<a b="' * (N // 6),
    "images in a line": "x<img alt='a b'>" * (N // 16),
    "comments first": "<!-- x -->" * (N // 10) + "x",
    "white space": "<p>" + " " * N + "x",
}


@pytest.mark.parametrize("html", HARD.values(), ids=HARD)
def test_hard_markup_takes_linear_time(html: str) -> None:
    start = time.perf_counter()
    text = page_text(html)
    looks_like_html(html)
    # Half a second or less when measured; the quadratic ways took from 4 to 80 seconds.
    assert time.perf_counter() - start < 3
    assert "x" in text


def test_large_ordinary_page_is_read_fast() -> None:
    section = "".join(
        f"<div class='card item-{i}' data-id='{i}'><h2>Offer {i}</h2><p>We <b>treat</b> knees and "
        f"hips, number {i}.</p><ul><li>one {i}</li><li>two {i}</li></ul></div>"
        for i in range(6000)
    )
    html = f"<!doctype html><html><body>{section}</body></html>"
    start = time.perf_counter()
    text = page_text(html)
    assert time.perf_counter() - start < 3  # 0.4 seconds for 1 MB when measured
    assert text.count("Offer") == 6000
