"""The native API, ``/v1``: parse, check, serialise; no judgement lives here."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hypecheck.checker import Checker
from hypecheck.formats.json import OFFSET_UNIT, SCHEMA_VERSION, report_dict
from hypecheck.page import page_text
from hypecheck.service.engine import Choice, Engine, too_long
from hypecheck.service.observe import Counts, counts_of
from hypecheck.service.offsets import Blocks, convert, converter
from hypecheck.service.problems import ProblemError
from hypecheck.service.schemas import (
    BatchOut,
    BatchRequest,
    ChecklistEntry,
    CheckRequest,
    KindOut,
    KindPage,
    Options,
    PageOut,
    PageRequest,
    QueryOptions,
    ReportOut,
    VersionOut,
)
from hypecheck.service.settings import Settings
from hypecheck.types import SENSITIVITIES, Kind, Report

NDJSON = "application/x-ndjson"


class _Duplex(StreamingResponse):
    """Streams while the request's body is still read: nothing else may take from it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""
        del scope, receive
        await self.stream_response(send)


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": title,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
    for status, title in (
        (400, "The body is not JSON"),
        (401, "The API key is missing or unknown"),
        (408, "The body came too slowly"),
        (413, "Too long"),
        (415, "Not JSON in UTF-8"),
        (422, "A wrong or unknown field or option"),
        (429, "Too many requests; see Retry-After"),
        (503, "Too busy; see Retry-After"),
    )
}
_READ: dict[int | str, dict[str, Any]] = {
    304: {"description": "Unchanged since the ETag in If-None-Match"},
    **{k: v for k, v in PROBLEMS.items() if k in (401, 413, 415, 400, 408, 429)},
}
router = APIRouter(prefix="/v1")


class AsciiJSON(JSONResponse):
    """JSON in which lone surrogates stay escaped, so that any text can be answered."""

    def render(self, content: Any) -> bytes:
        """Give the body; what is bytes already was serialised in a thread."""
        return content if isinstance(content, bytes) else dumps(content)


def dumps(content: Any) -> bytes:
    """Serialise in ASCII, on one line."""
    return json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode("ascii")


# Not plain functions: FastAPI would run those in a thread, which costs more than all else here.
async def engine_of(request: Request) -> Engine:
    """Give the application's engine."""
    engine: Engine = request.app.state.engine
    return engine


async def settings_of(request: Request) -> Settings:
    """Give the application's settings."""
    settings: Settings = request.app.state.settings
    return settings


TheEngine = Annotated[Engine, Depends(engine_of)]
TheSettings = Annotated[Settings, Depends(settings_of)]


async def choice(options: Options, engine: Engine) -> Choice:
    """Give the checker's part of the options; unknown names are refused."""
    default = engine.default
    wanted = Choice(
        options.sensitivity or default.sensitivity,
        options.model or default.model,
        tuple(options.only) if options.only is not None else None,
        tuple(options.disable),
        tuple(options.allow),
    )
    await engine.ready(wanted)
    return wanted


def serialise(report: Report, options: Options) -> dict[str, Any]:
    """Give a report as this request wants it."""
    content = report_dict(report, include_text=options.include_text)
    if not options.explain:
        del content["dismissed"]
    if options.jurisdiction is not None:
        places = {*options.jurisdiction, "int"}
        for f in (*content["findings"], *content["suppressed"]):
            f["references"] = [r for r in f["references"] if r["jurisdiction"] in places]
    return convert(content, report.text, options.offset_unit)


def _no_store(content: bytes | dict[str, Any]) -> AsciiJSON:
    return AsciiJSON(content, headers={"Cache-Control": "no-store"})


@router.post(
    "/check",
    operation_id="check",
    tags=["check"],
    response_model=ReportOut,
    response_class=AsciiJSON,
    responses=PROBLEMS,
)
async def check(body: CheckRequest, request: Request, engine: TheEngine) -> Response:
    """Check one text: what hypes, phrase by phrase, and the patient's checklist."""
    chosen = await choice(body, engine)
    counts = counts_of(request.scope)

    def work() -> bytes:
        html = body.format == "html"
        text = page_text(body.text) if html else body.text
        report = engine.check(chosen, text, body.id)
        counts.add(report)
        wanted = body.model_copy(update={"include_text": True}) if html else body
        return dumps(serialise(report, wanted))

    quick = body.format == "text" and engine.quick(chosen, body.text)
    return _no_store(await engine.run(work, quick=quick))


@router.post(
    "/check/batch",
    operation_id="check_batch",
    tags=["check"],
    response_model=BatchOut,
    response_class=AsciiJSON,
    responses=PROBLEMS,
)
async def check_batch(
    body: BatchRequest, request: Request, engine: TheEngine, settings: TheSettings
) -> Response:
    """Check many documents; order is kept, and a bad document is answered by its own problem."""
    if len(body.documents) > settings.max_documents:
        raise ProblemError(
            413,
            "Too many documents",
            f"{len(body.documents)} documents, the limit is {settings.max_documents}; "
            "use several requests or /v1/check/stream",
        )
    chosen = await choice(body, engine)
    counts = counts_of(request.scope)
    results = []
    size = 0
    for n, document in enumerate(body.documents):
        full = size > settings.max_answer_bytes
        work = _one(engine, chosen, body, document, f"documents/{n}", counts, full=full)
        results.append(await engine.run(work, admitted=n > 0))
        size += len(results[-1])
        if await request.is_disconnected():
            break
    versions = dumps(_versions(engine.checker(chosen)))
    return _no_store(b'{"results":[' + b",".join(results) + b'],"versions":' + versions + b"}")


def _one(
    engine: Engine,
    chosen: Choice,
    options: Options,
    document: Any,
    where: str,
    counts: Counts,
    *,
    full: bool = False,
) -> Callable[[], bytes]:
    """Give the job that answers one document of several, whatever it is.

    ``full`` refuses it: the answers before it are as large as one answer may be.
    """

    def work() -> bytes:
        id_ = document.get("id", "") if isinstance(document, dict) else None
        try:
            text, id_ = _text_and_id(document, where)
            if full:
                why = f"{where}: send the rest in another batch"
                raise ProblemError(413, "Answer too large", why)
            report = engine.check(chosen, text, id_)
        except ProblemError as e:
            counts.failed += 1
            return dumps({"id": id_ if isinstance(id_, str) else None, "error": e.content()})
        counts.add(report)
        return dumps(serialise(report, options))

    return work


def _text_and_id(document: Any, where: str) -> tuple[str, str]:
    wrong = None
    if not isinstance(document, dict):
        wrong = "expected an object with a text"
    elif "text" not in document:
        wrong = "has no text"
    elif not isinstance(document["text"], str):
        wrong = "text must be a string"
    elif not isinstance(document.get("id", ""), str):
        wrong = "id must be a string"
    elif unknown := set(document) - {"id", "text"}:
        wrong = f"has {len(unknown)} unknown field(s); known: id, text"
    if wrong:
        raise ProblemError(422, "Invalid document", f"{where}: {wrong}")
    return document["text"], document.get("id", "")


@router.post(
    "/check/page",
    operation_id="check_page",
    tags=["check"],
    response_model=PageOut,
    response_class=AsciiJSON,
    responses=PROBLEMS,
)
async def check_page(
    body: PageRequest, request: Request, engine: TheEngine, settings: TheSettings
) -> Response:
    """Check a page given as blocks in reading order; findings come by block."""
    if len(body.blocks) > settings.max_blocks:
        raise ProblemError(
            413,
            "Too many blocks",
            f"{len(body.blocks)} blocks, the limit is {settings.max_blocks}",
        )
    size = sum(len(b.text) for b in body.blocks)
    if size > settings.max_characters:
        raise too_long(size, settings.max_characters)
    chosen = await choice(body, engine)
    counts = counts_of(request.scope)

    def work() -> bytes:
        blocks = Blocks([b.text for b in body.blocks])
        report = engine.answer(chosen, blocks.text, body.id, body.seconds or 0.0)
        counts.add(report)
        return dumps(_by_block(report, body, blocks))

    return _no_store(await engine.run(work))


def _by_block(report: Report, body: PageRequest, blocks: Blocks) -> dict[str, Any]:
    content = serialise(report, body.model_copy(update={"offset_unit": OFFSET_UNIT}))
    out: list[dict[str, Any]] = [
        {"id": b.id, "findings": [], "suppressed": []} for b in body.blocks
    ]
    units = [converter(b.text, body.offset_unit) for b in body.blocks]

    def within(item: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        i, start, end = blocks.place(item["start"], item["end"])
        return i, {**item, "start": units[i](start), "end": units[i](end)}

    for name in ("findings", "suppressed"):
        for f in content[name]:
            i, found = within(f)
            out[i][name].append(found)
    if body.explain:
        for block in out:
            block["dismissed"] = []
        for d in content["dismissed"]:
            i, found = within(d)
            if found["cue"] is not None:
                j, cue = within(found["cue"])
                found["cue"] = cue if i == j else None  # it stands in another block
            out[i]["dismissed"].append(found)
    for item in content["checklist"]:
        item["evidence"] = [
            {**cue, "block": body.blocks[j].id} for j, cue in map(within, item["evidence"])
        ]
    for block, sent in zip(out, body.blocks, strict=True):
        block["tag"] = _tag(block)
        if sent.known == block["tag"]:
            block["findings"] = None
            block.pop("dismissed", None)
            block.pop("suppressed", None)
    dropped = ("findings", "suppressed", "dismissed", "sentences", "text")
    rest = {k: v for k, v in content.items() if k not in dropped}
    return {**rest, "offset_unit": body.offset_unit, "blocks": out}


def _tag(block: dict[str, Any]) -> str:
    """Give what stays the same as long as nothing in the block's answer changes.

    The numbers of sentences count through the page: what is put in further up shifts them.
    """
    parts = [
        {k: v for k, v in item.items() if k != "sentence"}
        for name in ("findings", "suppressed", "dismissed")
        for item in block.get(name) or ()
    ]
    return hashlib.blake2b(dumps(parts), digest_size=9).hexdigest()


@router.post(
    "/check/stream",
    operation_id="check_stream",
    tags=["check"],
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One report or problem a line, in the order of the lines sent.",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
        **{k: v for k, v in PROBLEMS.items() if k in (401, 415, 422, 429, 503)},
    },
    openapi_extra={
        "requestBody": {
            "required": False,
            "description": "One JSON object a line: a text and, if you like, an id.",
            "content": {
                NDJSON: {
                    "schema": {},  # whatever a line is, it gets an answer of its own
                    "examples": {"two": {"value": '{"id":"1","text":"Act now!"}\n{"text":"Hi"}\n'}},
                }
            },
        }
    },
)
async def check_stream(
    request: Request,
    engine: TheEngine,
    settings: TheSettings,
    options: Annotated[QueryOptions, Query()],
) -> Response:
    """Check documents as they come; the first is answered before the last is sent."""
    kind = request.headers.get("content-type", NDJSON).partition(";")[0].strip().lower()
    if kind not in (NDJSON, "application/jsonl", "application/ndjson"):
        raise ProblemError(
            415, "Unsupported media type", f"send JSON Lines with Content-Type: {NDJSON}"
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(415, "Unsupported content encoding", "send a stream uncompressed")
    chosen = await choice(options, engine)
    if engine.full:
        raise ProblemError(503, "Too busy", "try again in a moment", headers={"Retry-After": "1"})
    counts = counts_of(request.scope)

    async def answers() -> AsyncIterator[bytes]:
        # One line is answered before the next is read: back-pressure on both sides.
        async for n, line in _lines(request, settings):
            try:
                if isinstance(line, ProblemError):
                    raise line
                document = _parse_line(line, n)
            except ProblemError as e:
                counts.failed += 1
                yield dumps({"id": None, "line": n, "error": e.content()}) + b"\n"
                continue
            work = _one(engine, chosen, options, document, f"line {n}", counts)
            yield await engine.run(work, admitted=True) + b"\n"

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return _Duplex(answers(), media_type=NDJSON, headers=headers)


async def _lines(
    request: Request, settings: Settings
) -> AsyncIterator[tuple[int, bytes | ProblemError]]:
    """Give the lines that are not empty, with their numbers; one that is too long as a problem."""
    most = settings.max_body_bytes
    buffer = bytearray()
    skipping = False
    first = True
    n = 1
    pieces = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(settings.body_seconds):
                piece = await anext(pieces)
        except StopAsyncIteration:
            break
        except TimeoutError:
            seconds = settings.body_seconds
            yield n, ProblemError(408, "Request too slow", f"nothing came for {seconds:g} seconds")
            return
        if first:
            piece = piece.removeprefix(b"\xef\xbb\xbf")
            first = False
        *whole, rest = piece.split(b"\n")
        for part in whole:
            if skipping:
                skipping = False
            else:
                buffer += part
                if len(buffer) > most:
                    yield n, _line_too_long(n, most)
                elif buffer.strip():
                    yield n, bytes(buffer)
            buffer.clear()
            n += 1
        if not skipping:
            buffer += rest
            if len(buffer) > most:
                yield n, _line_too_long(n, most)
                buffer.clear()
                skipping = True
    if buffer.strip():
        yield n, bytes(buffer)


def _line_too_long(n: int, most: int) -> ProblemError:
    return ProblemError(413, "Line too long", f"line {n}: the limit is {most} bytes")


def _parse_line(line: bytes, n: int) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as e:
        detail = f"line {n}: not UTF-8, byte {e.start} does not fit"
        raise ProblemError(400, "Wrong encoding", detail) from None
    except json.JSONDecodeError as e:
        detail = f"line {n}: not JSON: {e.msg} at column {e.colno}"
        raise ProblemError(400, "Malformed JSON", detail) from None
    except (RecursionError, ValueError):
        raise ProblemError(400, "Malformed JSON", f"line {n}: cannot be read as JSON") from None


# What does not change between requests


def _cached(request: Request, content: Any) -> Response:
    """Answer with a strong ETag, or 304."""
    body = dumps(content)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=300"}
    asked = request.headers.get("if-none-match", "")
    known = {t.strip().removeprefix("W/") for t in asked.split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return AsciiJSON(body, headers=headers)


def _kind(kind: Kind, count: int) -> dict[str, Any]:
    return {
        "id": kind.id,
        "category": kind.category,
        "title": kind.title,
        "severity": kind.severity,
        "why": kind.why,
        "advice": kind.advice,
        "references": [{f: getattr(r, f) for f in r.__slots__} for r in kind.references],
        "rule_count": count,
    }


@router.get(
    "/rules",
    operation_id="list_rules",
    tags=["rules"],
    response_model=list[KindOut],
    response_class=AsciiJSON,
    responses=_READ,
)
async def rules(request: Request, engine: TheEngine) -> Response:
    """List the kinds of hype: what each is, why it matters, what to ask, the guidance."""
    ruleset = engine.checker(engine.default).ruleset
    content = [_kind(k, sum(r.kind == k.id for r in ruleset.rules)) for k in ruleset.kinds.values()]
    return _cached(request, content)


@router.get(
    "/rules/{kind}",
    operation_id="get_rules",
    tags=["rules"],
    response_model=KindPage,
    response_class=AsciiJSON,
    responses={
        **_READ,
        404: {**PROBLEMS[422], "description": "There is no such kind"},
    },
)
async def rules_of(kind: str, request: Request, engine: TheEngine) -> Response:
    """Give one kind with its rules and the examples that specify them."""
    ruleset = engine.checker(engine.default).ruleset
    if kind not in ruleset.kinds:
        known = ", ".join(ruleset.kinds)
        raise ProblemError(404, "Unknown kind", f"there is no such kind; known: {known}")
    found = [r for r in ruleset.rules if r.kind == kind]
    content = _kind(ruleset.kinds[kind], len(found))
    content["rules"] = [
        {f: getattr(r, f) for f in ("id", "pattern", "fires", "silent", "unless", "score")}
        for r in found
    ]
    return _cached(request, content)


@router.get(
    "/checklist",
    operation_id="get_checklist",
    tags=["rules"],
    response_model=list[ChecklistEntry],
    response_class=AsciiJSON,
    responses=_READ,
)
async def checklist_items(request: Request, engine: TheEngine) -> Response:
    """List what the patient's checklist looks for, and what to ask where it is not stated."""
    entries = engine.checker(engine.default).checklist.entries
    return _cached(
        request, [{f: getattr(e, f) for f in ("id", "title", "question")} for e in entries]
    )


@router.get(
    "/version",
    operation_id="get_version",
    tags=["rules"],
    response_model=VersionOut,
    response_class=AsciiJSON,
    responses=_READ,
)
async def version(request: Request, engine: TheEngine, settings: TheSettings) -> Response:
    """Give the versions that answer, and this server's limits."""
    content = {
        **_versions(engine.checker(engine.default)),
        "schema_version": SCHEMA_VERSION,
        "offset_units": ["codepoint", "utf16", "utf8"],
        "sensitivities": list(SENSITIVITIES),
        "limits": {
            "characters": settings.max_characters,
            "bytes": settings.max_body_bytes,
            "documents": settings.max_documents,
            "blocks": settings.max_blocks,
            "document_seconds": settings.document_seconds,
        },
    }
    return _cached(request, content)


def _versions(checker: Checker) -> dict[str, Any]:
    v = checker.versions
    return {"package": v.package, "ruleset": v.ruleset, "model": v.model}
