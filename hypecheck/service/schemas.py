"""What goes over the wire, as Pydantic models: requests are strict, answers are documented."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hypecheck.service.problems import Problem
from hypecheck.types import Category, Sensitivity, Severity, Source, Status

OffsetUnit = Literal["codepoint", "utf16", "utf8"]
Jurisdiction = Literal["us", "eu", "uk", "au", "ca", "int"]
AD = "Our stem cells cure arthritis, guaranteed. Only 3 spots left!"


class Options(BaseModel):
    """How to check; the same names as in Python."""

    model_config = ConfigDict(extra="forbid")

    sensitivity: Annotated[
        Sensitivity | None, Field(description="strict, balanced or broad; else the server's.")
    ] = None
    model: Annotated[
        Literal["default", "fast", "none"] | None,
        Field(description="The tier that judges; none for rules only. Else the server's."),
    ] = None
    only: Annotated[list[str] | None, Field(description="Kinds or categories to report.")] = None
    disable: Annotated[list[str], Field(description="Kinds, categories or rule ids to drop.")] = []
    allow: Annotated[
        list[str], Field(description="Phrases that you accept; see `suppressed`.", max_length=1000)
    ] = []
    jurisdiction: Annotated[
        list[Jurisdiction] | None,
        Field(description="Show guidance of these places only (and international)."),
    ] = None
    offset_unit: Annotated[
        OffsetUnit, Field(description="What start and end count, in the text as sent.")
    ] = "codepoint"
    explain: Annotated[
        bool, Field(description="Also give the phrases that were let pass, and why.", strict=True)
    ] = False
    include_text: Annotated[
        bool, Field(description="Repeat the text in the answer.", strict=True)
    ] = False


class QueryOptions(Options):
    """The same from a query, where all is text."""

    explain: Annotated[
        bool, Field(description="Also give the phrases that were let pass, and why.")
    ] = False
    include_text: Annotated[bool, Field(description="Repeat the text in the answer.")] = False


class CheckRequest(Options):
    """A text to check, and how."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": AD, "jurisdiction": ["us"]}]}
    )

    text: str
    id: str = ""
    format: Annotated[
        Literal["text", "html"],
        Field(
            description="html: read what a visitor of the page sees; start and end then count "
            "into the answer's text."
        ),
    ] = "text"


class BatchRequest(Options):
    """Many documents; each is answered by itself."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "documents": [
                        {"id": "ad-1", "text": AD},
                        {"id": "ad-2", "text": "Open Monday to Friday."},
                    ]
                }
            ]
        }
    )

    # Checked one by one by the handler: a bad document must not fail the others.
    documents: Annotated[
        list[Any],
        Field(
            description="Objects with a text and, if you like, an id; one that is something else "
            "is answered by a problem of its own."
        ),
    ]


class Block(BaseModel):
    """One block of a page: a paragraph, a headline, a button, a caption."""

    model_config = ConfigDict(extra="forbid")

    id: str
    text: str
    known: Annotated[
        str | None,
        Field(
            description="The tag of an earlier answer to this block: if it is still right, the "
            "findings are not sent again."
        ),
    ] = None


class PageRequest(Options):
    """A page as blocks in reading order, so that claim and support meet across them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "blocks": [
                        {"id": "h1", "text": "Say goodbye to neuropathy"},
                        {"id": "p1", "text": "Call us to make an appointment."},
                    ],
                    "offset_unit": "utf16",
                }
            ]
        }
    )

    blocks: list[Block]
    id: str = ""
    seconds: Annotated[
        float | None,
        Field(
            gt=0,
            description="Answer about then, if the server's own limit allows as much: what the "
            "transformer has not read is judged by the fast tier, and incomplete is true. Sent "
            "again, the page is read on from there.",
        ),
    ] = None


class ReferenceOut(BaseModel):
    """Official guidance that bears on a kind."""

    id: str
    title: str
    clause: str
    year: int
    point: str
    url: str
    jurisdiction: str
    checked_on: str


class CueOut(BaseModel):
    """Words of the text that decided something."""

    start: int
    end: int
    text: str


class FindingOut(CueOut):
    """A flagged phrase."""

    sentence: int
    category: Category
    kind: str
    severity: Severity
    score: float
    source: Source
    rule: str | None
    why: str
    advice: str
    references: list[ReferenceOut]


class SuppressedOut(FindingOut):
    """A phrase that would be flagged, but is on the list that the request allows."""

    by: str
    reason: str


class DismissedOut(CueOut):
    """A phrase that was let pass, and why."""

    sentence: int
    category: Category
    kind: str
    source: Source
    rule: str | None
    guard: str
    cue: CueOut | None
    reason: str


class ChecklistOut(BaseModel):
    """One line of the patient's checklist."""

    id: str
    title: str
    status: Status
    evidence: list[CueOut]
    question: str


class VersionsOut(BaseModel):
    """What answered."""

    package: str
    ruleset: str
    model: str | None


class _Whole(BaseModel):
    schema_version: str
    offset_unit: OffsetUnit
    id: str
    scores: dict[str, float]
    checklist: list[ChecklistOut]
    versions: VersionsOut
    notes: list[str]
    incomplete: Annotated[
        bool,
        Field(description="The time for a document ran out: the rest was judged by the fast tier."),
    ]


class ReportOut(_Whole):
    """Everything about one text."""

    text: str | None = None
    sentences: list[tuple[int, int]]
    findings: list[FindingOut]
    suppressed: list[SuppressedOut] = []
    dismissed: list[DismissedOut] | None = None


class BlockOut(BaseModel):
    """What was found in one block; offsets count into the block's text."""

    id: str
    tag: Annotated[str, Field(description="To be sent as known with the next request.")]
    findings: Annotated[
        list[FindingOut] | None, Field(description="null: they are those of the known tag.")
    ]
    suppressed: list[SuppressedOut] = []
    dismissed: list[DismissedOut] | None = None


class PageOut(_Whole):
    """Everything about one page."""

    blocks: list[BlockOut]


class FailedOut(BaseModel):
    """A document that could not be checked."""

    id: str | None
    error: Problem


class BatchOut(BaseModel):
    """The answers, in the order of the documents."""

    results: list[ReportOut | FailedOut]
    versions: VersionsOut


class RuleOut(BaseModel):
    """A rule, with the examples that specify it."""

    id: str
    pattern: str
    fires: list[str]
    silent: list[str]
    unless: list[str]
    score: float


class KindOut(BaseModel):
    """A kind of hype."""

    id: str
    category: Category
    title: str
    severity: Severity
    why: str
    advice: str
    references: list[ReferenceOut]
    rule_count: int


class KindPage(KindOut):
    """A kind with its rules."""

    rules: list[RuleOut]


class ChecklistEntry(BaseModel):
    """What the checklist looks for."""

    id: str
    title: str
    question: str


class VersionOut(BaseModel):
    """Versions of everything that answers."""

    package: str
    ruleset: str
    model: str | None
    schema_version: str
    offset_units: list[str]
    sensitivities: list[str]
    limits: dict[str, float]
