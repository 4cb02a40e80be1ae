"""The browser extension in a real Firefox, driven by WebDriver BiDi (Playwright's takes none).

What is the same code as in Chromium is tested there; here: that Firefox takes the manifest, runs
the background as its event page, and marks what the API finds, in shadow trees and frames too.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Server
from test_extension import PAGES, Marks, granted, plain, served, wanted
from websockets.sync.client import ClientConnection, connect

FIREFOX = os.environ.get("FIREFOX") or shutil.which("firefox") or shutil.which("firefox-esr")
pytestmark = pytest.mark.skipif(FIREFOX is None, reason="needs Firefox (apt install firefox-esr)")
HOME = "moz-extension://0f9c2f7e-6d0b-4c1e-9d35-6a2f1d2b7c11"
PREFERENCES: dict[str, Any] = {
    "extensions.webextensions.uuids": json.dumps(
        {"hypecheck@hypecheck.org": HOME.removeprefix("moz-extension://")}
    ),
    "network.dns.localDomains": "clinic.test",
    "network.proxy.type": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.normandy.enabled": False,
    "services.settings.server": "http://127.0.0.1:9/",
    "browser.safebrowsing.update.enabled": False,
    "ui.systemUsesDarkTheme": 0,
}


class Firefox:
    """A browser and one BiDi session."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.ask("session.new", capabilities={})

    def ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == number:
                assert answer["type"] == "success", answer
                return answer["result"]

    def open(self, url: str) -> str:
        tab: str = self.ask("browsingContext.create", type="tab")["context"]
        self.ask("browsingContext.navigate", context=tab, url=url, wait="complete")
        return tab

    def evaluate(self, tab: str, expression: str) -> Any:
        """Give the value of an expression, as JSON carries it."""
        answer = self.ask(
            "script.evaluate",
            expression=f"(async () => JSON.stringify((await {expression}) ?? null))()",
            target={"context": tab},
            awaitPromise=True,
        )
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def until(self, tab: str, expression: str) -> None:
        for _ in range(300):
            if self.evaluate(tab, expression):
                return
            time.sleep(0.1)
        pytest.fail(f"{expression} never came to be")


@contextlib.contextmanager
def started(profile: Path) -> Iterator[Firefox]:
    profile.mkdir()
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [str(FIREFOX), "--headless", "--no-remote", "--profile", str(profile)]
    # Pages of extensions count as the browser's own: a session may open them only so.
    command += ["--remote-allow-system-access", "--remote-debugging-port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            said = "WebDriver BiDi listening on"
            address = next((s.split()[-1] for s in process.stdout if said in s), "")
            assert address, "Firefox did not start"
            drain = threading.Thread(target=process.stdout.read)
            drain.start()
            with connect(f"{address}/session", max_size=None, proxy=None) as socket:
                yield Firefox(socket)
        finally:
            process.terminate()
            process.wait(30)
        drain.join()


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    with served() as port:
        yield port


@pytest.fixture(scope="module")
def firefox(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Firefox]:
    folder = tmp_path_factory.mktemp("firefox")
    with started(folder / "profile") as firefox:
        data = {"type": "path", "path": str(granted(folder))}
        firefox.ask("webExtension.install", extensionData=data)
        options = firefox.open(f"{HOME}/options/options.html")
        firefox.evaluate(options, f"browser.storage.local.set({{ server: '{server.url}' }})")
        yield firefox


Checked = Callable[[str], tuple[str, str, str]]


@pytest.fixture
def check(firefox: Firefox, site: int) -> Checked:
    """Give the function that opens a page and checks it: page, popup, the page's HTML before."""

    def call(path: str) -> tuple[str, str, str]:
        url = f"http://clinic.test:{site}{path}"
        tab = firefox.open(url)
        before = firefox.evaluate(tab, HTML)
        popup = firefox.open(f"{HOME}/options/options.html")
        find = f"browser.tabs.query({{}}).then(t => t.find(x => x.url === '{url}').id)"
        id_ = firefox.evaluate(popup, find)
        there = f"{HOME}/popup/popup.html?tab={id_}"
        firefox.ask("browsingContext.navigate", context=popup, url=there, wait="complete")
        firefox.ask("browsingContext.activate", context=tab)
        firefox.until(popup, "document.querySelector('#actions button.main') !== null")
        firefox.evaluate(popup, "document.querySelector('#actions button.main').click()")
        return tab, popup, before

    return call


HTML = "document.documentElement.outerHTML"
MARKS = """[window, ...Array.from(frames)].flatMap(w =>
    [...w.CSS.highlights].flatMap(([name, ranges]) =>
        [...ranges].map(r => [name, r.toString()])))"""


@pytest.mark.parametrize("case", PAGES)
def test_marks_are_what_the_api_finds_and_the_page_is_untouched(
    firefox: Firefox, server: Server, check: Checked, case: str
) -> None:
    number = list(PAGES).index(case)
    tab, popup, before = check(f"/case/{number}")
    firefox.until(popup, "/marked/.test(document.querySelector('#headline').textContent)")
    firefox.until(popup, "!document.querySelector('#say').classList.contains('busy')")
    found: Marks = sorted(
        (name.removeprefix("hypecheck-"), plain(text))
        for name, text in firefox.evaluate(tab, MARKS)
    )
    assert found == wanted(server, PAGES[case][1])
    assert firefox.evaluate(tab, HTML) == before
    if folder := os.environ.get("SCREENSHOTS"):
        picture = firefox.ask("browsingContext.captureScreenshot", context=tab)["data"]
        Path(folder, f"firefox-case-{number}.png").write_bytes(base64.b64decode(picture))


def test_page_with_a_password_is_never_read(firefox: Firefox, check: Checked) -> None:
    tab, popup, _ = check("/password")
    firefox.until(
        popup, "/asks for a password/.test(document.querySelector('#headline').textContent)"
    )
    assert firefox.evaluate(tab, MARKS) == []
