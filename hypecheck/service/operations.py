"""What monitors ask: is it alive, is it ready, how is it doing."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from hypecheck.service.native import AsciiJSON, TheEngine, TheSettings
from hypecheck.service.observe import Metrics
from hypecheck.service.problems import ProblemError

router = APIRouter(tags=["operations"])
# Must be flagged, and must not be: the whole path, rules, guards and model.
_HYPE = "Hurry, only 3 spots left! Our stem cells cure arthritis."
_SOBER = "Be wary of clinics that guarantee a cure. We are open from nine to five."


@router.get("/livez", operation_id="livez", response_class=AsciiJSON)
async def livez() -> Response:
    """Say that the process answers."""
    # That a server is here is no secret: a browser extension tells by it "down" from "not allowed".
    headers = {"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "cross-origin"}
    return AsciiJSON({"status": "ok"}, headers=headers)


@router.get(
    "/readyz",
    operation_id="readyz",
    response_class=AsciiJSON,
    responses={503: {"description": "Not able to check texts now"}},
)
async def readyz(engine: TheEngine) -> Response:
    """Say that the model was verified and judges right, and that there is room."""
    if engine.full:
        raise ProblemError(503, "Too busy", "the queue is full", headers={"Retry-After": "1"})

    def work() -> bool:
        hype = {f.category for f in engine.check(engine.default, _HYPE).findings}
        sober = engine.check(engine.default, _SOBER).findings
        return "pressure_sales" in hype and not sober

    if not await engine.run(work):
        raise ProblemError(503, "Self-check failed", "the checker does not judge as it should")
    v = engine.versions
    content = {"status": "ready", "ruleset": v.ruleset, "model": v.model}
    return AsciiJSON(content, headers={"Cache-Control": "no-store"})


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
        404: {"description": "Switched off"},
    },
)
async def metrics(request: Request, engine: TheEngine, settings: TheSettings) -> Response:
    """Give Prometheus metrics: counts and durations, no text and no path that a client made up."""
    if not settings.metrics:
        raise ProblemError(404, "Not Found", "metrics are switched off on this server")
    found: Metrics = request.app.state.metrics
    found.queue.set(engine.waiting)
    body, media_type = found.render()
    return Response(body, media_type=media_type)
