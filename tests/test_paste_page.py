"""The paste page in a real browser: typing, pasting, pointing, keys, dark, narrow, accessible."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Tab, needs_chromium
from conftest import Server
from playwright.sync_api import Browser, expect

import hypecheck

pytestmark = needs_chromium
AD = "🌟 Act now before it is too late! We guarantee a cure.\nIt does not cure gout."
FLAGS = [f.text for f in hypecheck.check(AD).findings]


def marks(tab: Tab) -> list[str]:
    return tab.page.locator("#under mark").all_text_contents()


@pytest.fixture
def tab(browser: Browser, server: Server) -> Iterator[Tab]:
    tab = Tab(browser, server.url)
    yield tab
    tab.close()


def read(tab: Tab, text: str) -> None:
    tab.page.locator("#text").fill(text)
    expect(tab.page.locator("#status")).to_have_text(re.compile("flagged"), timeout=20_000)


def test_what_is_typed_is_marked_as_the_library_finds_it(tab: Tab) -> None:
    tab.page.locator("#text").press_sequentially(AD.split("\n")[0], delay=5)
    expect(tab.page.locator("#under mark")).to_have_count(2, timeout=20_000)
    assert marks(tab) == ["Act now before it is too late", "guarantee a cure"]
    expect(tab.page.locator("#findings > li")).to_have_count(2)
    expect(tab.page.locator("#status")).to_have_text("2 phrases flagged.")
    expect(tab.page.locator("#checklist > li")).not_to_have_count(0)


def test_marks_move_along_while_typing_goes_on(tab: Tab) -> None:
    read(tab, AD)
    assert marks(tab) == FLAGS
    tab.page.route("**/v1/check", lambda _: None)  # no answer from here on
    box = tab.page.locator("#text")
    box.press("Control+Home")
    box.press_sequentially("New words. ")
    assert marks(tab) == FLAGS
    box.press("Control+Home")
    for _ in range(len("New words. 🌟 Act")):
        box.press("Shift+ArrowRight")
    box.press("Delete")
    assert marks(tab) == FLAGS[1:]  # the flag whose text was changed is gone


def test_long_paste_is_read(tab: Tab) -> None:
    line = "Please call the front desk; we open at nine. "
    text = (
        line * (199_000 // len(line))
    ) + "Only 3 spots left! 100% guaranteed cure or your money back."
    tab.page.evaluate(
        "t => { const b = document.getElementById('text'); b.value = t;"
        " b.dispatchEvent(new Event('input')); }",
        text,
    )
    expect(tab.page.locator("#status")).to_have_text(re.compile("flagged"), timeout=60_000)
    assert "guaranteed cure" in marks(tab)[-1]
    expect(tab.page.locator("#count")).to_have_text(f"{len(text):,}")


def test_text_beyond_the_limit_is_refused_in_words(tab: Tab) -> None:
    tab.page.evaluate(
        "() => { const b = document.getElementById('text'); b.value = 'a '.repeat(150000);"
        " b.dispatchEvent(new Event('input')); }"
    )
    expect(tab.page.locator("#status")).to_contain_text("Text too long", timeout=20_000)
    tab.complaints[:] = [c for c in tab.complaints if "413" not in c]


def test_pointing_at_a_mark_says_why(tab: Tab) -> None:
    read(tab, AD)
    tab.page.locator("#under mark").first.hover(force=True)
    card = tab.page.locator("#card")
    expect(card).to_be_visible()
    expect(card).to_contain_text("Pushes you to decide")
    expect(tab.page.locator("#findings > li").first).to_have_class(re.compile("here"))
    tab.page.mouse.move(5, 5)
    expect(card).to_be_hidden()


def test_everything_is_reached_by_keyboard(tab: Tab) -> None:
    read(tab, AD)
    tab.page.keyboard.press("F8")
    expect(tab.page.locator("#card")).to_contain_text("Pushes you to decide")
    selected = "() => { const b = document.getElementById('text');"
    selected += " return b.value.slice(b.selectionStart, b.selectionEnd); }"
    assert tab.page.evaluate(selected) == "Act now before it is too late"
    tab.page.keyboard.press("F8")
    assert tab.page.evaluate(selected) == "guarantee a cure"
    tab.page.keyboard.press("Escape")
    expect(tab.page.locator("#card")).to_be_hidden()
    for _ in range(20):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("() => document.activeElement.className") == "row":
            break
    tab.page.keyboard.press("Enter")
    row = tab.page.locator("#findings button.row").first
    expect(row).to_have_attribute("aria-expanded", "true")
    expect(tab.page.locator("#findings .more").first).to_contain_text("What to ask")
    expect(tab.page.locator("#findings .more a").first).to_have_attribute(
        "href", re.compile("^https://")
    )


def test_sensitivity_reads_again_and_the_link_holds_no_text(tab: Tab, server: Server) -> None:
    read(tab, AD)
    with tab.page.expect_request("**/v1/check") as request:
        tab.page.locator("input[value=broad]").check()
    assert (request.value.post_data_json or {})["sensitivity"] == "broad"
    assert tab.page.url == f"{server.url}/#sensitivity=broad"
    tab.page.reload()
    expect(tab.page.locator("input[value=broad]")).to_be_checked()


def test_markdown_and_json_are_copied(browser: Browser, server: Server) -> None:
    tab = Tab(browser, server.url, permissions=["clipboard-read", "clipboard-write"])
    read(tab, AD)
    tab.page.locator("#markdown").click()
    expect(tab.page.locator("#status")).to_have_text("Markdown copied.")
    copied = tab.page.evaluate("() => navigator.clipboard.readText()")
    assert "**“Act now before it is too late”**" in copied
    assert "checklist" in copied
    tab.page.locator("#json").click()
    expect(tab.page.locator("#status")).to_have_text("JSON copied.")
    assert '"guarantee a cure"' in tab.page.evaluate("() => navigator.clipboard.readText()")
    tab.close()


def test_dropped_file_is_read(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        "<style>p{}</style><h1>Only 3 spots left!</h1><p>We <b>guarantee</b> a cure.</p>"
    )
    tab.page.locator("#file").set_input_files(path)
    expect(tab.page.locator("#under mark").first).to_have_text("Only 3 spots left", timeout=20_000)
    assert "guarantee a cure" in marks(tab)


def test_markup_in_a_text_stays_text(tab: Tab) -> None:
    evil = "<img src=x onerror=alert(1)> Act now! <script>alert(2)</script> We guarantee a cure."
    read(tab, evil)
    assert tab.page.locator("#under img, #findings img, #card img").count() == 0
    assert tab.page.locator("#under").inner_text().rstrip("\u200b") == evil


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_page_is_accessible_and_fits(
    browser: Browser, server: Server, scheme: Any, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    tab = Tab(
        browser,
        server.url,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        bypass_csp=True,  # for axe itself, which is put into the page
    )
    tab.page.locator("#example").click()
    expect(tab.page.locator("#status")).to_have_text(re.compile("flagged"), timeout=20_000)
    tab.page.locator("#findings button.row").first.click()
    wide = tab.page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= width
    dark = tab.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(18, 24, 29)") == (scheme == "dark")
    results = Axe().run(tab.page)
    assert results.violations_count == 0, results.generate_report()
    if shots := os.environ.get("SCREENSHOTS"):
        tab.page.screenshot(path=f"{shots}/page-{scheme}-{width}.png", full_page=True)
    tab.close()


def test_documentation_lists_the_api(tab: Tab, server: Server) -> None:
    tab.page.goto(f"{server.url}/docs")
    expect(tab.page.locator("article")).not_to_have_count(0)
    expect(tab.page.locator("#docs")).to_contain_text("/v1/check/stream")
    expect(tab.page.locator("#docs")).to_contain_text("curl")
