"""Rule files to a :class:`Ruleset`: strict, and every error names file, rule and key.

A rule is a TOML table in ``rules/<category>/<kind>.toml``: the path is the category and the
kind. Word lists (``{condition}``) come from ``words.toml``. What the rules match is decided
in :mod:`hypecheck.match`; whether a match counts is decided by the guards.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import re2

from hypecheck import store
from hypecheck.errors import RulesetError
from hypecheck.regexp import options
from hypecheck.types import CATEGORIES, KINDS, SEVERITIES, Category, Kind, Reference, Rule

RULES = Path(__file__).parent / "rules"
GUARD_NAMES = (
    "negated",
    "refuted",
    "reported",
    "questioned",
    "hedged",
    "supported",
    "not_health",
)
_WORD = re.compile(r"\{([a-z]+)\}")
_MARK = re.compile(r"\[([^\[\]]+)\]")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_RULE_KEYS = {"id", "pattern", "fires", "silent", "unless", "score"}
_KIND_KEYS = {"title", "severity", "why", "advice", "reference", "rule", "kind"}
_REFERENCE_KEYS = {"id", "title", "year", "point", "url", "jurisdiction", "checked_on"}
_CATEGORY_KEYS = {"title", "unless", "score"}


@dataclass(frozen=True)
class Ruleset:
    """All kinds and rules in force, in a stable order, with the hash of their sources."""

    categories: Mapping[str, str]  # category -> title
    kinds: Mapping[str, Kind]
    rules: tuple[Rule, ...]
    guards: Mapping[str, tuple[str, ...]]  # category -> the guards of its rules by default
    evasions: frozenset[str]  # words that normalise looks for behind disguises
    hash: str  # 12 hex digits of the SHA-256 over every source file


@lru_cache(maxsize=16)
def load(paths: tuple[Path, ...] = ()) -> Ruleset:
    """Load the shipped rules, then the user's files or folders in ``paths``.

    Raises:
        RulesetError: a file is unreadable or malformed; file, rule and key are named.
    """
    digest = hashlib.sha256()
    words = _load_words(RULES / "words.toml", digest)
    registry = _load_references(RULES / "references.toml", digest)
    scores = _load_scores(RULES / "scores.toml", digest)
    titles: dict[str, str] = {}
    kinds: dict[str, Kind] = {}
    rules: dict[str, Rule] = {}
    defaults: dict[str, tuple[tuple[str, ...], float]] = {}
    for category in CATEGORIES:
        folder = RULES / category
        table = _read(folder / "category.toml", digest)
        _check_keys(table, _CATEGORY_KEYS, folder / "category.toml", "category")
        titles[category] = _text(table, "title", folder / "category.toml", "category")
        unless = _guards(table.get("unless", []), folder / "category.toml", "category")
        defaults[category] = (unless, float(table.get("score", 0.5)))
        for kind in KINDS[category]:
            path = folder / f"{kind}.toml"
            _load_kind(path, category, kind, digest, words, registry, defaults, kinds, rules)
    for path in _user_files(paths):
        _load_user(path, digest, words, defaults, kinds, rules)
    for name in ("cues.toml", "checklist.toml"):  # read elsewhere, but part of what is in force
        digest.update((RULES / name).read_bytes())
    final = tuple(replace(r, score=scores.get(r.id, r.score)) for r in rules.values())
    evasions = frozenset(w for w in words.get("_evasions", "").split("|") if w)
    by_default = {c: unless for c, (unless, _) in defaults.items()}
    return Ruleset(titles, kinds, final, by_default, evasions, digest.hexdigest()[:12])


def unmark(example: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Strip the ``[ ]`` marks of a rule example: the text, and the spans they enclosed."""
    out: list[str] = []
    spans: list[tuple[int, int]] = []
    last = size = 0
    for m in _MARK.finditer(example):
        out.append(example[last : m.start()])
        size += m.start() - last
        out.append(m[1])
        spans.append((size, size + len(m[1])))
        size += len(m[1])
        last = m.end()
    out.append(example[last:])
    return "".join(out), tuple(spans)


def _user_files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(path.rglob("*.toml"))
            if not found:
                raise RulesetError(f"{path}: the folder holds no .toml rule file")
            files += found
        else:
            files.append(path)
    return files


def _read(path: Path, digest: Any) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise RulesetError(f"{path}: no such rule file") from None
    except OSError as e:
        raise RulesetError(f"{path}: cannot be read: {e.strerror}") from None
    digest.update(path.name.encode() + b"\0" + raw)
    try:
        return parse(raw)
    except UnicodeDecodeError as e:
        raise RulesetError(f"{path}: not UTF-8 at byte {e.start}") from None
    except tomllib.TOMLDecodeError as e:
        raise RulesetError(f"{path}: not valid TOML: {e}") from None


def parse(raw: bytes) -> dict[str, Any]:
    """Give the tables of a TOML file; a shipped one is parsed once for all runs.

    Raises:
        UnicodeDecodeError, tomllib.TOMLDecodeError: it is none.
    """
    found: dict[str, Any] | None = _shipped().get(hashlib.sha256(raw).hexdigest())
    return tomllib.loads(raw.decode("utf-8")) if found is None else found


@cache
def _shipped() -> dict[str, Any]:
    """Give the tables of the shipped files, by their digests."""
    raws = {}
    with contextlib.suppress(OSError):  # who reads a file for its rules says what is wrong with it
        for path in sorted(RULES.rglob("*.toml")):
            raw = path.read_bytes()
            raws[hashlib.sha256(raw).hexdigest()] = raw

    def parsed() -> dict[str, Any]:
        out = {}
        for digest, raw in raws.items():
            with contextlib.suppress(ValueError):
                out[digest] = tomllib.loads(raw.decode("utf-8"))
        return out

    whole = hashlib.sha256("\n".join(raws).encode()).hexdigest()
    tables: dict[str, Any] = store.kept(f"rules-{whole[:32]}", parsed)
    return tables


def _check_keys(table: Mapping[str, Any], allowed: set[str], path: Path, where: str) -> None:
    for key in table:
        if key not in allowed:
            raise RulesetError(
                f"{path}: {where}: unknown key {key!r} (known: {', '.join(sorted(allowed))})"
            )


def _text(table: Mapping[str, Any], key: str, path: Path, where: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise RulesetError(f"{path}: {where}: key {key!r} must be a non-empty string")
    return value


def _strings(table: Mapping[str, Any], key: str, path: Path, where: str) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise RulesetError(f"{path}: {where}: key {key!r} must be a list of strings")
    return tuple(value)


def _guards(value: Any, path: Path, where: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise RulesetError(f"{path}: {where}: key 'unless' must be a list of guard names")
    for name in value:
        if name not in GUARD_NAMES:
            raise RulesetError(
                f"{path}: {where}: unknown guard {name!r} (known: {', '.join(GUARD_NAMES)})"
            )
    return tuple(value)


def _load_words(path: Path, digest: Any) -> dict[str, str]:
    """Read the word lists; each becomes one RE2 group. ``_evasions`` stays a plain list."""
    table = _read(path, digest)
    words: dict[str, str] = {}
    for name, value in table.items():
        if not re.fullmatch(r"_?[a-z]+", name):
            raise RulesetError(f"{path}: word list {name!r}: names are lower-case letters")
        if isinstance(value, str):
            words[name] = value
        elif isinstance(value, list) and all(isinstance(v, str) for v in value):
            words[name] = "|".join(value)
        else:
            raise RulesetError(f"{path}: word list {name!r} must be a pattern or a list of them")
    return words


def _expand(pattern: str, words: Mapping[str, str], path: Path, where: str, depth: int = 0) -> str:
    if depth > 8:
        raise RulesetError(f"{path}: {where}: word lists refer to each other in a circle")

    def put(m: re.Match[str]) -> str:
        if m[1] not in words:
            raise RulesetError(f"{path}: {where}: no word list named {m[1]!r} in words.toml")
        return f"(?:{_expand(words[m[1]], words, path, where, depth + 1)})"

    return _WORD.sub(put, pattern)


def _load_references(path: Path, digest: Any) -> dict[str, dict[str, Any]]:
    registry: dict[str, dict[str, Any]] = {}
    for entry in _read(path, digest).get("reference", []):
        where = f"reference {entry.get('id', '?')!r}"
        _check_keys(entry, _REFERENCE_KEYS, path, where)
        if missing := _REFERENCE_KEYS - entry.keys():
            raise RulesetError(f"{path}: {where}: missing key {sorted(missing)[0]!r}")
        registry[entry["id"]] = entry
    return registry


def _load_scores(path: Path, digest: Any) -> dict[str, float]:
    """Read each rule's measured precision (written by ``hypecheck train``), if it is there."""
    if not path.exists():
        return {}
    return {str(k): float(v) for k, v in _read(path, digest).get("precision", {}).items()}


def _load_kind(
    path: Path,
    category: Category,
    kind: str,
    digest: Any,
    words: Mapping[str, str],
    registry: Mapping[str, dict[str, Any]],
    defaults: Mapping[str, tuple[tuple[str, ...], float]],
    kinds: dict[str, Kind],
    rules: dict[str, Rule],
) -> None:
    table = _read(path, digest)
    _check_keys(table, _KIND_KEYS, path, "kind")
    severity = table.get("severity")
    if severity not in SEVERITIES:
        raise RulesetError(f"{path}: kind: key 'severity' must be one of {', '.join(SEVERITIES)}")
    references = []
    for entry in table.get("reference", []):
        _check_keys(entry, {"id", "clause"}, path, "reference")
        if entry.get("id") not in registry:
            raise RulesetError(f"{path}: reference {entry.get('id')!r} is not in references.toml")
        references.append(Reference(clause=entry.get("clause", ""), **registry[entry["id"]]))
    kinds[kind] = Kind(
        id=kind,
        category=category,
        title=_text(table, "title", path, "kind"),
        severity=severity,
        why=_text(table, "why", path, "kind"),
        advice=_text(table, "advice", path, "kind"),
        references=tuple(references),
    )
    _load_rules(table, path, kind, words, defaults[category], rules, check=False)


def _load_user(
    path: Path,
    digest: Any,
    words: Mapping[str, str],
    defaults: dict[str, tuple[tuple[str, ...], float]],
    kinds: dict[str, Kind],
    rules: dict[str, Rule],
) -> None:
    """Add a user's rules to a known kind, named by the key ``kind`` or else by the file."""
    table = _read(path, digest)
    _check_keys(table, {"kind", "rule"}, path, "file")
    kind = table.get("kind", path.stem)
    if not isinstance(kind, str) or kind not in kinds:
        raise RulesetError(
            f"{path}: key 'kind': {kind!r} is not a kind (known: {', '.join(kinds)})"
        )
    entries = table.get("rule")
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise RulesetError(f"{path}: key 'rule': write each rule under [[rule]]")
    if not entries:
        raise RulesetError(f"{path}: holds no [[rule]] table")
    # A user's own rule counts whatever the sensitivity, unless its score says otherwise.
    guards, _ = defaults[kinds[kind].category]
    _load_rules(table, path, kind, words, (guards, 1.0), rules, check=True)


def _load_rules(
    table: Mapping[str, Any],
    path: Path,
    kind: str,
    words: Mapping[str, str],
    default: tuple[tuple[str, ...], float],
    rules: dict[str, Rule],
    *,
    check: bool,
) -> None:
    for n, entry in enumerate(table.get("rule", []), 1):
        where = f"rule {entry.get('id', f'number {n}')!r}"
        _check_keys(entry, _RULE_KEYS, path, where)
        slug = _text(entry, "id", path, where)
        if not _SLUG.match(slug):
            raise RulesetError(f"{path}: {where}: key 'id' must be a-z, 0-9 and single hyphens")
        rule_id = f"{kind}/{slug}"
        if rule_id in rules:
            raise RulesetError(f"{path}: {where}: key 'id': {rule_id!r} is taken")
        pattern = _expand(_text(entry, "pattern", path, where).strip(), words, path, where)
        if check:
            _check_pattern(pattern, path, where)
        fires = _strings(entry, "fires", path, where)
        if not fires:
            raise RulesetError(f"{path}: {where}: key 'fires' needs at least one example")
        for example in fires:
            if len(unmark(example)[1]) != 1:
                raise RulesetError(
                    f"{path}: {where}: key 'fires': mark exactly one span with [ ] in {example!r}"
                )
        score = entry.get("score", default[1])
        if not isinstance(score, int | float) or not 0 <= score <= 1:
            raise RulesetError(f"{path}: {where}: key 'score' must be a number from 0 to 1")
        rules[rule_id] = Rule(
            id=rule_id,
            kind=kind,
            pattern=pattern,
            fires=fires,
            silent=_strings(entry, "silent", path, where),
            unless=_guards(entry.get("unless", list(default[0])), path, where),
            score=float(score),
        )


def _check_pattern(pattern: str, path: Path, where: str) -> None:
    """Compile a pattern to see that it is RE2's; the shipped ones are checked by the tests."""
    try:
        compiled = re2.compile(pattern, options())
    except re2.error as e:
        message = e.args[0].decode() if isinstance(e.args[0], bytes) else str(e)
        raise RulesetError(f"{path}: {where}: key 'pattern': {message}") from None
    if compiled.search("") is not None:
        raise RulesetError(f"{path}: {where}: key 'pattern' matches the empty text")
