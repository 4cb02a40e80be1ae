"""LibreOffice Writer as a client of ``/v2``: run by the system's Python, which has its UNO bridge.

Usage: /usr/bin/python3 libreoffice.py URL TEXT

Starts LibreOffice without a screen and with a profile of its own, points its LanguageTool checker
at URL/v2, and prints what it would underline, as JSON: ``[[start, length, comment], …]`` in UTF-16
code units.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time

import uno
from com.sun.star.beans import PropertyValue
from com.sun.star.lang import Locale

NODE = "/org.openoffice.Office.Linguistic/GrammarChecking/LanguageTool"


def main(url: str, text: str) -> None:
    with tempfile.TemporaryDirectory() as profile:
        pipe = "hypecheck" + str(time.time_ns())
        office = subprocess.Popen(
            [
                "soffice",
                "--headless",
                "--norestore",
                "--nologo",
                f"--accept=pipe,name={pipe};urp;",
                f"-env:UserInstallation=file://{profile}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        desktop = None
        try:
            context = connect(pipe)
            services = context.ServiceManager
            desktop = services.createInstanceWithContext("com.sun.star.frame.Desktop", context)
            provider = services.createInstanceWithContext(
                "com.sun.star.configuration.ConfigurationProvider", context
            )
            path = PropertyValue("nodepath", 0, NODE, 0)
            access = provider.createInstanceWithArguments(
                "com.sun.star.configuration.ConfigurationUpdateAccess", (path,)
            )
            access.setPropertyValue("IsEnabled", True)
            access.setPropertyValue("BaseURL", f"{url}/v2")
            access.commitChanges()
            checker = services.createInstanceWithContext(
                "org.openoffice.lingu.LanguageToolGrammarChecker", context
            )
            english = Locale("en", "US", "")
            if not checker.hasLocale(english):
                raise SystemExit("LibreOffice does not see that the server reads English")
            size = len(text.encode("utf-16-le")) // 2
            found = checker.doProofreading("1", text, english, 0, size, ())
            errors = [[e.nErrorStart, e.nErrorLength, e.aShortComment] for e in found.aErrors]
            print(json.dumps(errors))
        finally:
            if desktop is not None:
                with contextlib.suppress(Exception):
                    desktop.terminate()
            try:
                office.wait(20)
            except subprocess.TimeoutExpired:
                office.kill()


def connect(pipe: str):
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext(
        "com.sun.star.bridge.UnoUrlResolver", local
    )
    deadline = time.monotonic() + 90
    while True:
        try:
            return resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


if __name__ == "__main__":
    main(*sys.argv[1:])
