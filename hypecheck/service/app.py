"""The first HTTP endpoint: ``POST /v1/check`` and ``GET /healthz``. The text is never logged."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from hypecheck.checker import VERSION, Checker
from hypecheck.errors import HypeCheckError
from hypecheck.formats.json import report_dict
from hypecheck.service.offsets import to_utf16
from hypecheck.types import Sensitivity

MAX_CHARACTERS = 200_000


class CheckRequest(BaseModel):
    """A text to check, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"text": "Our stem cells cure arthritis. Only 3 spots left!"}]
        },
    )

    text: str
    id: str = ""
    sensitivity: Sensitivity = "balanced"
    only: Annotated[list[str] | None, Field(description="Kinds or categories to report.")] = None
    disable: Annotated[list[str], Field(description="Kinds, categories or rule ids to drop.")] = []
    allow: Annotated[list[str], Field(description="Phrases never to flag.")] = []
    offset_unit: Literal["codepoint", "utf16"] = "codepoint"
    include_text: bool = False


class ProblemError(Exception):
    """Becomes an RFC 9457 answer; its detail never holds the user's text."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail


class AsciiJSON(Response):
    """JSON in which lone surrogates stay escaped, so that any text can be answered."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Give the body."""
        return json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode("ascii")


@lru_cache(maxsize=64)
def _checker(
    sensitivity: Sensitivity,
    only: tuple[str, ...] | None,
    disable: tuple[str, ...],
    allow: tuple[str, ...],
) -> Checker:
    return Checker(sensitivity, only=only, disable=disable, allow=allow)


def create_app() -> FastAPI:
    """Make the application; the default model is loaded and verified before it serves."""
    app = FastAPI(
        title="HypeCheck",
        version=VERSION,
        summary="Reads clinic marketing and shows, phrase by phrase, where it hypes.",
    )
    _checker("balanced", None, (), ())

    @app.exception_handler(ProblemError)
    def problem(_: Request, e: ProblemError) -> Response:
        return _problem(e.status, e.title, e.detail)

    @app.exception_handler(HTTPException)
    def refused(_: Request, e: HTTPException) -> Response:
        answer = _problem(e.status_code, e.detail, e.detail)
        answer.headers.update(e.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, e: RequestValidationError) -> Response:
        # Pydantic's errors carry the input: only place and message are passed on.
        errors = [
            {"where": "/".join(str(p) for p in x["loc"]), "message": x["msg"]} for x in e.errors()
        ]
        detail = "; ".join(f"{x['where']}: {x['message']}" for x in errors)
        return _problem(422, "Invalid request", detail, errors)

    @app.post("/v1/check", response_class=AsciiJSON)
    def check(body: CheckRequest) -> Response:
        """Check one text: the report, under the same names as in Python."""
        if len(body.text) > MAX_CHARACTERS:
            raise ProblemError(
                413,
                "Text too long",
                f"{len(body.text)} characters, the limit is {MAX_CHARACTERS}; split the text",
            )
        only = tuple(body.only) if body.only is not None else None
        try:
            checker = _checker(body.sensitivity, only, tuple(body.disable), tuple(body.allow))
        except HypeCheckError as e:
            raise ProblemError(422, "Invalid option", str(e)) from None
        report = checker.check(body.text, body.id)
        content = report_dict(report, include_text=body.include_text)
        if body.offset_unit == "utf16":
            content = to_utf16(content, body.text)
        return AsciiJSON(content, headers={"Cache-Control": "no-store"})

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Say that the service is up, and which versions answer."""
        versions = _checker("balanced", None, (), ()).versions
        return {"status": "ok", "ruleset": versions.ruleset, "model": versions.model or "none"}

    return app


def _problem(
    status: int, title: str, detail: str, errors: list[dict[str, str]] | None = None
) -> Response:
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if errors:
        content["errors"] = errors
    body = json.dumps(content, ensure_ascii=True)
    return Response(body, status, media_type="application/problem+json")
