"""Presidio's analyzer API: a guardrail that speaks it can call HypeCheck. Code-point offsets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import PlainTextResponse, Response

from hypecheck.service.native import PROBLEMS, AsciiJSON, TheEngine, TheSettings, dumps
from hypecheck.service.observe import counts_of
from hypecheck.service.problems import ProblemError
from hypecheck.types import CATEGORY_OF, Report

router = APIRouter(tags=["Presidio"])
_NAMES = {kind.upper(): kind for kind in CATEGORY_OF}


class AnalyzeRequest(BaseModel):
    """What Presidio's clients send; fields that mean nothing here are ignored."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"examples": [{"text": "Our pills cure gout.", "language": "en"}]},
    )

    text: str | list[str]
    language: Annotated[str, Field(pattern=r"^[Ee][Nn](?:[-_][A-Za-z]+)?$", max_length=35)]
    score_threshold: Annotated[float | None, Field(ge=0, le=1, strict=True)] = None
    entities: list[str] | None = None
    allow_list: list[str] = []
    return_decision_process: Annotated[bool, Field(strict=True)] = False
    correlation_id: str | None = None


class RecognizerResult(BaseModel):
    """One entity."""

    entity_type: str
    start: int
    end: int
    score: float
    analysis_explanation: dict[str, Any] | None
    recognition_metadata: dict[str, str]


@router.post(
    "/analyze",
    operation_id="analyze",
    response_model=list[RecognizerResult] | list[list[RecognizerResult]],
    response_class=AsciiJSON,
    responses=PROBLEMS,
)
async def analyze(
    body: AnalyzeRequest, request: Request, engine: TheEngine, settings: TheSettings
) -> Response:
    """Find hype as Presidio finds names: entities with type, span and score."""
    only = None
    if body.entities is not None:
        only = tuple(_NAMES[e.upper()] for e in body.entities if e.upper() in _NAMES)
        if body.entities and not only:
            raise ProblemError(
                422, "Unknown entities", "none of them is known; see /supportedentities"
            )
    texts = [body.text] if isinstance(body.text, str) else body.text
    if len(texts) > settings.max_documents:
        raise ProblemError(
            413, "Too many texts", f"{len(texts)} texts, the limit is {settings.max_documents}"
        )
    chosen = replace(engine.default, only=only or None, allow=tuple(body.allow_list))
    await engine.ready(chosen)
    counts = counts_of(request.scope)
    out = []
    for n, text in enumerate(texts):
        work = partial(engine.check, chosen, text)
        quick = len(texts) == 1 and engine.quick(chosen, text)
        report = await engine.run(work, admitted=n > 0, quick=quick)
        counts.add(report)
        out.append(_results(report, body))
    content = dumps(out[0] if isinstance(body.text, str) else out)
    return AsciiJSON(content, headers={"Cache-Control": "no-store"})


def _results(report: Report, body: AnalyzeRequest) -> list[dict[str, Any]]:
    return [
        {
            "entity_type": f.kind.upper(),
            "start": f.start,
            "end": f.end,
            "score": f.score,
            "analysis_explanation": {
                "recognizer": "HypeCheck",
                "pattern_name": f.rule,
                "pattern": None,
                "original_score": f.score,
                "score": f.score,
                "textual_explanation": f.why,
                "validation_result": None,
            }
            if body.return_decision_process
            else None,
            "recognition_metadata": {
                "recognizer_name": "HypeCheck",
                "recognizer_identifier": f.rule or "model",
            },
        }
        for f in report.findings
        if f.score >= (body.score_threshold or 0.0)
    ]


@router.get("/supportedentities", operation_id="supported_entities", response_model=list[str])
async def supported_entities(
    language: Annotated[str, Query(max_length=35)] = "en",
) -> list[str]:
    """List the entity types: the kinds of hype in capitals."""
    return list(_NAMES) if language.partition("-")[0].lower() == "en" else []


@router.get("/recognizers", operation_id="recognizers", response_model=list[str])
async def recognizers(
    language: Annotated[str, Query(max_length=35)] = "en",
) -> list[str]:
    """List the recognisers."""
    return ["HypeCheck"] if language.partition("-")[0].lower() == "en" else []


@router.get("/health", operation_id="presidio_health", response_class=PlainTextResponse)
async def health() -> str:
    """Say that the service is up."""
    return "HypeCheck Analyzer service is up"
