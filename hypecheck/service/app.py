"""The HTTP service, put together: limits and logs outside, the APIs and the page inside."""

from __future__ import annotations

import contextlib
import gc
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from hypecheck.checker import VERSION
from hypecheck.service import languagetool, native, operations, page, presidio
from hypecheck.service.access import Access, AccessMiddleware
from hypecheck.service.body import BodyLimits, Head
from hypecheck.service.connection import Hurried
from hypecheck.service.engine import Engine
from hypecheck.service.observe import (
    CorrelationIdMiddleware,
    Metrics,
    Observe,
    configure_logging,
    logger,
)
from hypecheck.service.problems import Problem, install
from hypecheck.service.settings import Settings, read_settings, refuse_open
from hypecheck.types import CATEGORIES

# Chrome's ids are 32 letters a to p; Firefox and Safari make one up for each installation.
_EXTENSIONS = r"chrome-extension://[a-p]{32}|(?:moz|safari-web)-extension://[0-9A-Fa-f-]{36}"
_DESCRIPTION = """Reads clinic marketing and shows, phrase by phrase, where it hypes.

`/v1` is the native API; `/v2` is LanguageTool's, for editors; `/analyze` is Presidio's, for
guardrails; `/` is a page to paste a text into. Errors are RFC 9457 problems (on `/v2` plain text).
Texts are neither stored nor logged."""


def create_app(settings: Settings | None = None, *, warm: bool = False) -> ASGIApp:
    """Make the application; the model is loaded and verified before it serves.

    Args:
        settings: by default those of the environment.
        warm: also meet an example of every rule before serving, see :meth:`Engine.warm`.

    Raises:
        HypeCheckError: a setting is wrong, or the model is damaged.
    """
    settings = settings or read_settings()
    refuse_open(settings)
    start = time.perf_counter()
    engine = Engine(settings)
    engine.load()
    if warm:
        engine.warm()
    metrics = Metrics()
    metrics.load_seconds.set(time.perf_counter() - start)
    access = Access(settings)
    app = api(settings, engine)
    app.state.access, app.state.metrics = access, metrics

    around: ASGIApp = BodyLimits(Head(app), settings.max_body_bytes, settings.body_seconds)
    around = AccessMiddleware(around, access)
    origins = [settings.cors_origin_regex, _EXTENSIONS if settings.cors_extensions else None]
    regex = "|".join(f"(?:{r})" for r in origins if r) or None
    if settings.cors_origins or regex:
        around = CORSMiddleware(
            around,
            allow_origins=settings.cors_origins,
            allow_origin_regex=regex,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=["RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"],
            max_age=600,
        )
    around = Observe(around, metrics, VERSION, _tracer() if settings.tracing else None)
    whole = CorrelationIdMiddleware(
        around,
        header_name="X-Request-ID",
        generator=lambda: uuid.uuid4().hex,
        validator=_plain_id,
        transformer=lambda value: value,
    )
    versions = engine.versions
    logger().info("ready", model=versions.model, ruleset=versions.ruleset, version=VERSION)
    return whole


def serve() -> ASGIApp:
    """Make the application for a server process of its own: logging is set up too."""
    settings = read_settings()
    configure_logging(settings)
    Hurried.seconds = settings.body_seconds
    app = create_app(settings, warm=True)
    # Model and rules stay as long as the process: the collector need not walk them again and
    # again, a tenth of a second in the midst of a long page.
    gc.collect()
    gc.freeze()
    return app


def api(settings: Settings, engine: Engine) -> FastAPI:
    """Make the routes alone; what OpenAPI describes."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        engine.close()

    app = FastAPI(
        title="HypeCheck",
        version=VERSION,
        summary="Reads clinic marketing and shows, phrase by phrase, where it hypes.",
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    app.state.settings, app.state.engine = settings, engine
    install(app)
    for router in (native.router, languagetool.router, presidio.router, operations.router):
        app.include_router(router)
    page.add(app)
    _describe(app, engine)
    return app


def _describe(app: FastAPI, engine: Engine) -> None:
    """Say what the models alone do not: problems, keys, and the names of kinds and rules."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = made()
            components = schema["components"]
            schemas = components["schemas"]
            reference = "#/components/schemas/{model}"
            schemas["Problem"] = Problem.model_json_schema(ref_template=reference)
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            components["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            schema["security"] = [{}, {"bearer": []}, {"key": []}]
            for path, verbs in schema["paths"].items():
                for operation in verbs.values():
                    if not path.startswith("/v2"):
                        operation["responses"].update(_problems(operation["responses"]))
                    for parameter in operation.get("parameters", ()):
                        _name(parameter["name"], parameter["schema"], engine)
                        if path == "/v1/rules/{kind}":
                            kinds = engine.checker(engine.default).ruleset.kinds
                            parameter["schema"]["enum"] = list(kinds)
            for model in schemas.values():
                for field, described in model.get("properties", {}).items():
                    _name(field, described, engine)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _problems(responses: dict[str, Any]) -> dict[str, Any]:
    """Give the responses that are errors as problems, the common ones of a middleware added."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    titles = {"413": "The body is too large", "422": "A wrong parameter"}
    wrong = {k: v for k, v in responses.items() if k.startswith(("4", "5"))}
    return {
        k: {"description": titles.get(k, v["description"]), "content": content}
        for k, v in wrong.items()
    }


def _name(field: str, described: dict[str, Any], engine: Engine) -> None:
    """List the names that an option takes."""
    ruleset = engine.checker(engine.default).ruleset
    kinds = [*CATEGORIES, *ruleset.kinds]
    names = {
        "only": kinds,
        "disable": [*kinds, *sorted(r.id for r in ruleset.rules)],
        "entities": [k.upper() for k in ruleset.kinds],
    }.get(field)
    for part in [described, *described.get("anyOf", ())]:
        if names and part.get("type") == "array":
            part["items"] = {"type": "string", "enum": names}


def _plain_id(value: str) -> bool:
    """Accept a client's request id when it can do no harm in a log."""
    return 0 < len(value) <= 64 and value.isascii() and value.replace("-", "").isalnum()


def _tracer() -> Any:
    from opentelemetry import trace  # the extra "otel"

    return trace.get_tracer("hypecheck", VERSION)
