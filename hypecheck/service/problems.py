"""Errors as answers: RFC 9457 problems, on ``/v2`` plain text; never with the user's text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MEDIA_TYPE = "application/problem+json"
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,40}\Z")


class Problem(BaseModel):
    """An RFC 9457 problem."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str | None = Field(None, description="The request's id, as in the server's log.")
    errors: list[dict[str, str]] | None = Field(None, description="Each wrong place.")


class ProblemError(Exception):
    """Becomes a problem; its detail must never hold the user's text."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail
        self.headers, self.errors = dict(headers or {}), errors

    def content(self, instance: str | None = None) -> dict[str, Any]:
        """Give the problem's members."""
        out: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if instance:
            out["instance"] = instance
        if self.errors:
            out["errors"] = self.errors
        return out

    def answer(self, scope: Scope) -> Response:
        """Give the answer in the shape that this path's clients read."""
        headers = {"Cache-Control": "no-store", **self.headers}
        if speaks_languagetool(scope):
            status, detail = self.status, self.detail
            if status == 401:  # LanguageTool's clients know 403, and another way to send the key
                status, detail = 403, "this server needs a valid 'apiKey'"
            return Response(f"Error: {detail}", status, headers, media_type="text/plain")
        instance = scope.get("state", {}).get("request_id")
        body = json.dumps(self.content(instance and f"urn:request:{instance}"), ensure_ascii=True)
        return Response(body, self.status, headers, media_type=MEDIA_TYPE)

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from inside a middleware."""
        await self.answer(scope)(scope, receive, send)


def speaks_languagetool(scope: Scope) -> bool:
    """Say whether the path belongs to the LanguageTool API, whose clients read plain text."""
    path: str = scope["path"]
    return path == "/v2" or path.startswith("/v2/")


def install(app: FastAPI) -> None:
    """Let every error of ``app`` become a problem."""

    @app.exception_handler(ProblemError)
    async def problem(request: Request, e: ProblemError) -> Response:
        return e.answer(request.scope)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, e: HTTPException) -> Response:
        title = HTTPStatus(e.status_code).phrase
        headers = dict(e.headers or {})
        if e.status_code == 405:  # of several routes at one path, the first alone has answered
            headers["Allow"] = ", ".join(sorted(_methods(request)))
        detail = {
            400: "the body cannot be read as JSON",
            404: "there is nothing at this path; /docs lists what there is",
            405: f"this path takes {headers.get('Allow')}",
        }.get(e.status_code, str(e.detail))
        return ProblemError(e.status_code, title, detail, headers=headers).answer(request.scope)

    @app.exception_handler(Exception)
    async def failed(request: Request, _: Exception) -> Response:
        return unforeseen().answer(request.scope)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, e: RequestValidationError) -> Response:
        return from_validation(e.errors()).answer(request.scope)


def _methods(request: Request) -> set[str]:
    """Give the methods of all routes at the request's path."""
    out: set[str] = set()
    for path, verbs in request.app.openapi()["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", path)
        if re.fullmatch(pattern, request.scope["path"]):
            out |= {v.upper() for v in verbs}
    if not out:
        out = {"GET"}  # the page and its files, which the schema leaves out
    return out | ({"HEAD"} if "GET" in out else set())


def unforeseen() -> ProblemError:
    """Make the answer to an error that nobody foresaw: its message may hold the user's text."""
    detail = "an unforeseen error; the operator finds it in the log by the request's id"
    return ProblemError(500, "Internal error", detail)


def safe_name(name: object) -> str:
    """Give a name that the client made up if it looks like one; else it may be the user's text."""
    text = str(name)
    return text if _NAME.match(text) else "(not a name)"


def from_validation(found: Any) -> ProblemError:
    """Make a problem of Pydantic's errors; of what they carry only place and message go on."""
    errors = []
    for x in found:
        where = "/".join(safe_name(p) for p in x["loc"])
        message = x["msg"]
        if x["type"] == "json_invalid":
            message = f"not JSON: {x['ctx']['error']}"
            where = f"body, character {x['loc'][-1]}"
        errors.append({"where": where, "message": message})
    detail = "; ".join(f"{x['where']}: {x['message']}" for x in errors[:10])
    if len(errors) > 10:
        detail += f"; and {len(errors) - 10} more"
    broken = any(x["type"] == "json_invalid" for x in found)
    status, title = (400, "Malformed JSON") if broken else (422, "Invalid request")
    return ProblemError(status, title, detail, errors=errors[:100])
