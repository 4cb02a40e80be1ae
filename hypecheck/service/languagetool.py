"""The LanguageTool HTTP API, ``/v2``: editors and clients that speak it work unmodified.

The contract is that of LanguageTool's own server (ApiV2.java, V2TextChecker.java,
RuleMatchesAsJsonSerializer.java). Offsets are UTF-16 code units, errors are plain text. Bodies are
parsed here: LibreOffice sends the text neither escaped nor declared, TeXstudio calls a form JSON.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from hypecheck.checker import VERSION
from hypecheck.errors import HypeCheckError
from hypecheck.ruleset import Ruleset
from hypecheck.service.access import Access, sent_key
from hypecheck.service.engine import Choice, Engine
from hypecheck.service.native import AsciiJSON, TheEngine, TheSettings, dumps
from hypecheck.service.observe import counts_of
from hypecheck.service.offsets import Utf16
from hypecheck.service.problems import ProblemError
from hypecheck.types import CATEGORIES, Finding, Report

LANGUAGES = {
    "en": "English",
    "en-US": "English (US)",
    "en-GB": "English (GB)",
    "en-AU": "English (Australian)",
    "en-CA": "English (Canadian)",
    "en-NZ": "English (New Zealand)",
    "en-ZA": "English (South African)",
}
_CODES = {code.lower(): code for code in LANGUAGES}
_OLD = frozenset(["enabled", "disabled", "autodetect", "preferredvariants"])
_KNOWN = _OLD | {
    "text", "data", "language", "motherTongue", "preferredVariants", "enabledRules",
    "disabledRules", "enabledCategories", "disabledCategories", "enabledOnly", "level", "mode",
    "username", "apiKey", "api_key", "inputLogging", "ruleValues", "allowIncompleteResults",
    "useragent", "instanceId", "v", "textSessionId", "noopLanguages", "preferredLanguages",
    "callback", "c", "enableHiddenRules", "enableTempOffRules", "multilingual", "abtest",
    "shouldCheckMultilingual", "toneTags", "sourceLanguage", "sourceText", "tokenV2", "password",
}  # fmt: skip
_AT_PARAMETER = re.compile(rb"&(?=(?:" + b"|".join(sorted(k.encode() for k in _KNOWN)) + rb")=)")
_AT_ANY_PARAMETER = re.compile(rb"&(?=[A-Za-z_]\w*=)")
_UNESCAPED = re.compile(rb"[^!-~]")  # a space, a line end, or a byte beyond ASCII
_AROUND = 40  # code units of context on each side, as in LanguageTool
_CATEGORY_NAMES = {
    "guaranteed_cure": "Guaranteed cure",
    "pressure_sales": "Pressure to buy",
    "missing_data": "Claim without data",
}
router = APIRouter(prefix="/v2", tags=["LanguageTool"])


def wrong(detail: str, status: int = 400) -> ProblemError:
    """Make the refusal of a bad argument."""
    return ProblemError(status, "Bad request", detail)


def parse_form(raw: bytes) -> dict[str, str]:
    """Read a form or a query the way clients really send it.

    Percent escapes are undone only if the whole is escaped: one that holds a raw space or a byte
    beyond ASCII was sent as it is, ``%`` and ``+`` included, and there ``&`` parts parameters only
    before a known name.

    Raises:
        ProblemError: it is not UTF-8.
    """
    raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    escaped = _UNESCAPED.search(raw) is None
    out: dict[str, str] = {}
    for part in (_AT_ANY_PARAMETER if escaped else _AT_PARAMETER).split(raw):
        name, _, value = part.partition(b"=")
        if escaped:
            plain = unquote_to_bytes(value.replace(b"+", b" "))
            # "95%ab" in a text that was not escaped after all: it is taken as it stands.
            value = plain if _is_utf8(plain) else value
        try:
            out[name.decode("utf-8")] = value.decode("utf-8")
        except UnicodeDecodeError as e:
            raise wrong(
                f"the request is not UTF-8: byte {e.start} of a value does not fit"
            ) from None
    return out


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Annotated:
    """A text with markup: what is read, and where each part stands in what was sent.

    Attributes:
        plain: the text that is checked, markup replaced by what it stands for.
        sent: text and markup as the client counts them.
        parts: for each part, where it begins in ``plain`` and in ``sent``, its length in
            ``sent``, and whether its offsets run in step (text) or not (markup).
    """

    plain: str
    sent: str
    parts: Sequence[tuple[int, int, int, bool]]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Give a span of ``plain`` as one of ``sent``, code points."""
        plain, sent, _, text = self._part(start)
        first = sent + (start - plain if text else 0)
        plain, sent, size, text = self._part(end - 1)
        last = sent + (min(end - plain, size) if text else size)
        return first, max(first, last)

    def _part(self, offset: int) -> tuple[int, int, int, bool]:
        return self.parts[max(bisect_right(self.parts, offset, key=lambda p: p[0]) - 1, 0)]


def read_data(data: str) -> Annotated:
    """Read LanguageTool's ``data`` parameter; keys that it does not know are ignored.

    Raises:
        ProblemError: it is not JSON, or a node is wrong; which is named.
    """
    try:
        value = json.loads(data)
    except RecursionError:
        raise wrong("'data' is nested too deeply") from None
    except ValueError as e:
        where = f" at character {e.pos}" if isinstance(e, json.JSONDecodeError) else ""
        raise wrong(f"'data' is not JSON{where}") from None
    if not isinstance(value, dict):
        raise wrong("'data' must be a JSON object with 'text' or 'annotation'")
    nodes = value.get("annotation")
    if (nodes is None) == (value.get("text") is None):
        raise wrong("'data' needs either 'text' or 'annotation'")
    if nodes is None:
        nodes = [{"text": value["text"]}]
    if not isinstance(nodes, list):
        raise wrong("'annotation' must be a list")
    plain: list[str] = []
    sent: list[str] = []
    parts: list[tuple[int, int, int, bool]] = []
    a = b = 0
    for n, node in enumerate(nodes):
        if not isinstance(node, dict):
            raise wrong(f"annotation node {n} must be an object")
        text, markup, means = (node.get(k) for k in ("text", "markup", "interpretAs"))
        if any(v is not None and not isinstance(v, str) for v in (text, markup, means)):
            raise wrong(f"annotation node {n}: text, markup and interpretAs must be strings")
        if text is not None and markup is not None:
            raise wrong(f"annotation node {n} has both text and markup")
        if text is not None and means:
            raise wrong(f"annotation node {n} has text with interpretAs, which only markup takes")
        if text is None and markup is None:
            raise wrong(f"annotation node {n} has neither text nor markup")
        raw = text if text is not None else markup or ""
        shown = raw if text is not None else means or ""
        if shown:
            parts.append((a, b, len(raw), text is not None))
        plain.append(shown)
        sent.append(raw)
        a += len(shown)
        b += len(raw)
    return Annotated("".join(plain), "".join(sent), parts or [(0, 0, 0, True)])


def _listed(value: str) -> list[str]:
    return [v.strip() for v in value.split(",") if v.strip()]


def _one_of(given: Mapping[str, str], name: str, known: Sequence[str]) -> str:
    value = given.get(name, known[0])
    if value not in known:
        raise wrong(f"'{name}' must be one of: {', '.join(known)}")
    return value


def language_of(given: Mapping[str, str]) -> str:
    """Give the language's code.

    Raises:
        ProblemError: it is missing, or not one that is read here.
    """
    asked = given.get("language")
    if not asked:
        raise wrong("Missing 'language' parameter")
    if asked == "auto":
        return "en-US"
    if given.get("preferredVariants"):
        raise wrong("You specified 'preferredVariants' but you didn't specify 'language=auto'")
    code = _CODES.get(asked.lower())
    if code is None:
        raise wrong(f"the language is not known here; known are: {', '.join(LANGUAGES)}, auto")
    return code


def choice_of(given: Mapping[str, str], engine: Engine) -> Choice:
    """Translate LanguageTool's options; names of rules that are not ours are ignored."""
    ruleset = engine.checker(engine.default).ruleset
    if given.get("enabledOnly", "false") not in ("true", "yes", "false", "no", ""):
        raise wrong("'enabledOnly' must be true or false")
    enabled = _ours(given.get("enabledRules", ""), ruleset)
    enabled += _ours(given.get("enabledCategories", ""), ruleset)
    disabled = _ours(given.get("disabledRules", ""), ruleset)
    disabled += _ours(given.get("disabledCategories", ""), ruleset)
    only = None
    if given.get("enabledOnly") in ("true", "yes"):
        if not given.get("enabledRules") and not given.get("enabledCategories"):
            raise wrong("You must specify enabledRules or enabledCategories when using enabledOnly")
        if disabled:
            raise wrong("You cannot disable rules or categories when using enabledOnly")
        only = tuple(dict.fromkeys(name.partition("/")[0] for name in enabled))
    picky = _one_of(given, "level", ("default", "picky")) == "picky"
    _one_of(given, "mode", ("all", "textLevelOnly", "allButTextLevelOnly"))
    default = engine.default
    off = tuple(dict.fromkeys(n for n in disabled if n not in enabled))
    return Choice("broad" if picky else default.sensitivity, default.model, only, off)


def _ours(value: str, ruleset: Ruleset) -> list[str]:
    known = {*ruleset.kinds, *CATEGORIES, *(r.id for r in ruleset.rules)}
    return [name for v in _listed(value) if (name := v.lower()) in known]


async def parameters(request: Request) -> dict[str, str]:
    """Gather the parameters of query and body; the body wins."""
    given = parse_form(request.scope.get("query_string", b""))
    body = await request.body()
    if body.strip(b"\0 \r\n"):
        given |= parse_form(body)
    given.pop("", None)
    return given


async def _check(request: Request, engine: TheEngine) -> Response:
    """Check a text as LanguageTool's server would."""
    given = await parameters(request)
    access: Access = request.app.state.access
    key = given.get("apiKey") or given.get("api_key")
    if sent_key(request.scope) is None:
        await access.admit(key or None, request.scope)
    if access.keys is None and bool(given.get("username")) != bool(given.get("apiKey")):
        raise wrong("'username' and 'apiKey' belong together: set both or neither")
    if old := sorted(_OLD & set(given)):
        raise wrong(f"'{old[0]}' is not a parameter any more; see enabledRules, disabledRules")
    if ("text" in given) == ("data" in given):
        both = "text" in given
        raise wrong(
            "Set only 'text' or 'data' parameter, not both" if both
            else "Missing 'text' or 'data' parameter"
        )  # fmt: skip
    code = language_of(given)
    chosen = choice_of(given, engine)
    text = given.get("text")
    document = (
        read_data(given["data"])
        if text is None
        else Annotated(text, text, [(0, 0, len(text), True)])
    )
    counts = counts_of(request.scope)

    def work() -> bytes:
        try:
            report = engine.check(chosen, document.plain)
        except HypeCheckError as e:
            raise wrong(str(e)[:300]) from None
        counts.add(report)
        return dumps(answer(report, document, code, detected=given["language"] == "auto"))

    quick = text is not None and engine.quick(chosen, document.plain)
    content = await engine.run(work, quick=quick)
    return AsciiJSON(content, headers={"Cache-Control": "no-store"})


def answer(report: Report, document: Annotated, code: str, *, detected: bool) -> dict[str, Any]:
    """Give a report as LanguageTool's server would write it; every key is always there."""
    units = Utf16(document.sent).unit

    def span(start: int, end: int) -> tuple[int, int]:
        a, b = document.span(start, end)
        return units(a), units(b)

    name = LANGUAGES[code]
    warnings: dict[str, Any] = {"incompleteResults": report.incomplete}
    if report.incomplete:
        warnings["incompleteResultsReason"] = "the time for a text ran out"
    return {
        "software": software(),
        "warnings": warnings,
        "language": {
            "name": name,
            "code": code,
            "detectedLanguage": {
                "name": name,
                "code": code,
                "confidence": 0.99 if detected and not report.notes else 0.5,
                "source": "fallback",
            },
        },
        "matches": [_match(f, report, document, units) for f in report.findings],
        "sentenceRanges": [list(span(s.start, s.end)) for s in report.sentences if s.end > s.start],
    }


def _match(f: Finding, report: Report, document: Annotated, units: Any) -> dict[str, Any]:
    start, end = document.span(f.start, f.end)
    s = report.sentences[f.sentence]
    a, b = document.span(s.start, s.end)
    return {
        "message": f"{f.why} {f.advice}",
        "shortMessage": f.kind.replace("_", " ").capitalize(),
        "replacements": [],
        "offset": units(start),
        "length": units(end) - units(start),
        "context": _context(document.sent, start, end),
        "sentence": document.sent[a:b],
        "type": {"typeName": "Hint"},
        "rule": _rule(f),
        "ignoreForIncompleteSentence": False,
        "contextForSureMatch": 0,
    }


def _rule(f: Finding) -> dict[str, Any]:
    return {
        "id": f.kind,
        "subId": f.rule.partition("/")[2] if f.rule else "model",
        "sourceFile": f"{f.kind}.toml",
        "description": f.why,
        "issueType": "style",
        "urls": [{"value": r.url} for r in f.references[:1]],
        "category": {"id": f.category, "name": _CATEGORY_NAMES[f.category]},
        "isPremium": False,
    }


def _context(text: str, start: int, end: int) -> dict[str, Any]:
    """Give up to 40 code units on each side, cut between code points."""
    first = _back(text, start)
    last = _forth(text, end)
    before = ("..." if first else "") + text[first:start]
    after = text[end:last] + ("..." if last < len(text) else "")
    whole = re.sub(r"[\n\r\t]", " ", before + text[start:end] + after)
    return {"text": whole, "offset": _units(before), "length": _units(text[start:end])}


def _units(text: str) -> int:
    return len(text) + sum(c > "\uffff" for c in text)


def _back(text: str, start: int) -> int:
    room = _AROUND
    while start > 0 and room >= _units(text[start - 1]):
        start -= 1
        room -= _units(text[start])
    return start


def _forth(text: str, end: int) -> int:
    room = _AROUND
    while end < len(text) and room >= _units(text[end]):
        room -= _units(text[end])
        end += 1
    return end


def software() -> dict[str, Any]:
    """Say who answers."""
    return {
        "name": "HypeCheck",
        "version": VERSION,
        "buildDate": "",
        "apiVersion": 1,
        "premium": False,
        "premiumHint": "",
        "status": "",
    }


_PLAIN = {
    status: {"description": title, "content": {"text/plain": {"schema": {"type": "string"}}}}
    for status, title in (
        (400, "A wrong argument; the text begins with Error:"),
        (403, "The API key is missing or unknown"),
        (408, "The body came too slowly"),
        (413, "Too long"),
        (415, "An unknown Content-Encoding"),
        (429, "Too many requests; see Retry-After"),
        (503, "Too busy; see Retry-After"),
    )
}
_FORM = {
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string"},
                        "data": {"type": "string"},
                        "language": {"type": "string", "enum": [*LANGUAGES, "auto"]},
                        "level": {"type": "string", "enum": ["default", "picky"]},
                        "enabledRules": {"type": "string"},
                        "disabledRules": {"type": "string"},
                        "enabledCategories": {"type": "string"},
                        "disabledCategories": {"type": "string"},
                        "enabledOnly": {"type": "string"},
                    },
                    "required": ["language"],
                },
                "examples": {
                    "text": {"value": {"text": "Our pills cure gout.", "language": "en-US"}}
                },
            }
        }
    }
}
_OBJECT = {"application/json": {"schema": {"type": "object"}}}
_OK: dict[str, Any] = {
    "response_class": Response,
    "responses": {200: {"description": "The answer", "content": _OBJECT}, **_PLAIN},
}
_QUERY = {
    "parameters": [
        {"name": n, "in": "query", "required": r, "schema": schema}
        for n, r, schema in (
            ("language", True, {"type": "string", "enum": [*LANGUAGES, "auto"]}),
            ("text", False, {"type": "string"}),
            ("data", False, {"type": "string"}),
        )
    ]
}

router.add_api_route(
    "/check", _check, methods=["POST"], operation_id="lt_check", openapi_extra=_FORM, **_OK
)
router.add_api_route(
    "/check", _check, methods=["GET"], operation_id="lt_check_get", openapi_extra=_QUERY, **_OK
)


_LIST = {
    200: {
        "description": "The languages",
        "content": {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}},
    }
}


@router.get(
    "/languages",
    operation_id="lt_languages",
    response_class=Response,
    responses={**_PLAIN, **_LIST},  # type: ignore[dict-item]
)
async def languages() -> Response:
    """List the languages: English, in its varieties."""
    return AsciiJSON(
        [
            {"name": name, "code": code.partition("-")[0], "longCode": code}
            for code, name in LANGUAGES.items()
        ]
    )


async def _maximum(settings: TheSettings) -> Response:
    """Give the characters that a text may have."""
    return PlainTextResponse(str(settings.max_characters))


async def _configinfo(request: Request, engine: TheEngine, settings: TheSettings) -> Response:
    """List the rules."""
    language_of(await parameters(request))
    ruleset = engine.checker(engine.default).ruleset
    return AsciiJSON(
        {
            "software": software(),
            "parameter": {"maxTextLength": settings.max_characters},
            "rules": [
                {
                    "ruleId": k.id,
                    "description": k.title,
                    "categoryId": k.category,
                    "categoryName": _CATEGORY_NAMES[k.category],
                    "locQualityIssueType": "style",
                }
                for k in ruleset.kinds.values()
            ],
        }
    )


async def _health(engine: TheEngine) -> Response:
    """Say OK, unless the queue is full."""
    if engine.full:
        raise ProblemError(503, "Too busy", "the queue is full", headers={"Retry-After": "1"})
    return PlainTextResponse("OK")


_TEXT: dict[str, Any] = {"response_class": PlainTextResponse, "responses": _PLAIN}
for _method in ("GET", "POST"):
    _suffix = "" if _method == "GET" else "_post"
    router.add_api_route(
        "/maxtextlength", _maximum, methods=[_method], operation_id=f"lt_maximum{_suffix}", **_TEXT
    )
    router.add_api_route(
        "/configinfo", _configinfo, methods=[_method], operation_id=f"lt_configinfo{_suffix}",
        openapi_extra={**(_QUERY if _method == "GET" else _FORM)}, **_OK,
    )  # fmt: skip


@router.get("/info", operation_id="lt_info", **_OK)
async def info() -> Response:
    """Say which software answers."""
    return AsciiJSON({"software": {**software(), "commit": ""}})


router.add_api_route(
    "/healthcheck", _health, methods=["GET"], operation_id="lt_healthcheck", **_TEXT
)
