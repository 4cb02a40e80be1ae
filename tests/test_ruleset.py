"""Rule files: what is read, how a user's file merges, and what each broken one is told."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from hypecheck import guards, ruleset
from hypecheck.errors import RulesetError
from hypecheck.ruleset import GUARD_NAMES, RULES, load, unmark
from hypecheck.types import CATEGORIES, KINDS

RULE = r"""
[[rule]]
id = "zorb"
pattern = '\bzorb\w*'
fires = ["Our [zorbing] helps."]
silent = ["Our clinic helps."]
"""


def write(folder: Path, text: str | bytes, name: str = "miracle.toml") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(*paths: Path) -> str:
    with pytest.raises(RulesetError) as caught:
        load(paths)
    return str(caught.value)


# The shipped rules


def test_shipped_kinds_are_those_of_the_guide_in_its_order() -> None:
    shipped = load()
    assert tuple(shipped.categories) == CATEGORIES
    assert tuple(shipped.kinds) == tuple(k for c in CATEGORIES for k in KINDS[c])
    assert all(k in KINDS[kind.category] for k, kind in shipped.kinds.items())


def test_rules_folder_holds_no_other_file() -> None:
    wanted = {f"{c}/{k}.toml" for c in CATEGORIES for k in (*KINDS[c], "category")}
    found = {str(p.relative_to(RULES)) for p in RULES.glob("*/*")}
    assert found == wanted


def test_every_guard_is_named_by_a_rule_and_has_a_reason() -> None:
    used = {g for r in load().rules for g in r.unless}
    assert used == set(GUARD_NAMES)
    assert set(GUARD_NAMES) <= set(guards.REASONS)


def test_measured_scores_belong_to_rules() -> None:
    known = {r.id for r in load().rules}
    measured = tomllib.loads((RULES / "scores.toml").read_text("utf-8"))["precision"]
    assert set(measured) <= known
    assert all(r.score == measured.get(r.id, r.score) for r in load().rules)


def test_hash_names_the_sources(tmp_path: Path) -> None:
    mine = load((write(tmp_path, RULE),))
    assert load().hash == load().hash
    assert len(mine.hash) == 12
    assert mine.hash != load().hash


# A user's files


def test_user_file_adds_to_its_kind(tmp_path: Path) -> None:
    merged = load((write(tmp_path, RULE),))
    assert merged.rules[: len(load().rules)] == load().rules
    assert merged.kinds == load().kinds
    (rule,) = merged.rules[len(load().rules) :]
    assert (rule.id, rule.kind) == ("miracle/zorb", "miracle")
    assert rule.unless == load().guards["guaranteed_cure"]


def test_key_kind_wins_over_the_name_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'kind = "urgency"\n' + RULE, "ours.toml")
    assert load((path,)).rules[-1].id == "urgency/zorb"


def test_folder_is_read_with_its_subfolders_in_order(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep", RULE, "urgency.toml")
    write(tmp_path, RULE, "miracle.toml")
    write(tmp_path, "not a rule file", "README.md")
    ids = [r.id for r in load((tmp_path,)).rules[len(load().rules) :]]
    assert ids == ["urgency/zorb", "miracle/zorb"]


def test_user_rule_may_use_words_guards_and_a_score(tmp_path: Path) -> None:
    text = RULE.replace(r"\bzorb\w*", r"zorbs (?:our )?{condition}")
    path = write(tmp_path, text + 'unless = ["negated"]\nscore = 0.25\n')
    rule = load((path,)).rules[-1]
    assert "arthritis" in rule.pattern
    assert "{" not in rule.pattern.replace("{0,", "").replace("{1,", "").replace("{2,", "")
    assert (rule.unless, rule.score) == (("negated",), 0.25)


# Broken files: each message names the file, the rule and the key.

BROKEN: dict[str, tuple[str | bytes, list[str]]] = {
    "no TOML": ("kind = \n", ["not valid TOML", "line 1"]),
    "no UTF-8": (b'kind = "miracl\xe9"', ["not UTF-8 at byte 14"]),
    "no rule": ('kind = "miracle"\n', ["[[rule]]"]),
    "empty": ("", ["[[rule]]"]),
    "unknown kind": ('kind = "hype"\n' + RULE, ["'kind'", "'hype'", "miracle"]),
    "kind is a list": ('kind = ["miracle"]\n' + RULE, ["'kind'", "miracle"]),
    "kind is a number": ("kind = 3\n" + RULE, ["'kind'", "3"]),
    "unknown key of the file": ('severity = "low"\n' + RULE, ["'severity'", "known: kind, rule"]),
    "single brackets": (RULE.replace("[[rule]]", "[rule]"), ["rule", "[[rule]]"]),
    "rule is a string": ('rule = "zorb"\n', ["[[rule]]"]),
    "rules are strings": ('rule = ["zorb"]\n', ["[[rule]]"]),
    "unknown key": (RULE + 'unles = ["negated"]\n', ["'zorb'", "'unles'", "unless"]),
    "no id": (RULE.replace('id = "zorb"', ""), ["number 1", "'id'"]),
    "id is a number": (RULE.replace('"zorb"', "3"), ["'id'"]),
    "id with blanks": (RULE.replace('"zorb"', '"Zorb it"'), ["'Zorb it'", "'id'", "a-z"]),
    "same id twice": (RULE + RULE, ["'zorb'", "'id'", "'miracle/zorb' is taken"]),
    "no pattern": (RULE.replace("pattern", "# pattern"), ["'zorb'", "'pattern'"]),
    "blank pattern": (RULE.replace(r"\bzorb\w*", " "), ["'zorb'", "'pattern'"]),
    "unknown word": (RULE.replace(r"\bzorb", "{zorb}"), ["'zorb'", "no word list named 'zorb'"]),
    "open bracket": (RULE.replace(r"\w*", "("), ["'zorb'", "'pattern'", "missing )"]),
    "look-ahead": (RULE.replace(r"\w*", "(?=s)"), ["'zorb'", "'pattern'", "(?="]),
    "back-reference": (RULE.replace(r"\w*", r"(s)\1"), ["'zorb'", "'pattern'"]),
    "empty match": (RULE.replace(r"\bzorb\w*", "(?:zorb)?"), ["'zorb'", "'pattern'", "empty"]),
    "no fires": (RULE.replace("fires", "# fires"), ["'zorb'", "'fires'", "at least one"]),
    "fires is a string": (RULE.replace('["Our [zorbing] helps."]', '"x"'), ["'zorb'", "'fires'"]),
    "fires without a mark": (RULE.replace("[zorbing]", "zorbing"), ["'fires'", "[ ]", "zorbing"]),
    "two marks": (RULE.replace("helps", "[helps]"), ["'zorb'", "'fires'", "exactly one"]),
    "silent holds a number": (RULE.replace('"Our clinic helps."', "3"), ["'zorb'", "'silent'"]),
    "unknown guard": (RULE + 'unless = ["denied"]\n', ["'zorb'", "guard 'denied'", "negated"]),
    "guards as a string": (RULE + 'unless = "negated"\n', ["'zorb'", "'unless'"]),
    "score above one": (RULE + "score = 1.5\n", ["'zorb'", "'score'", "from 0 to 1"]),
    "score is a string": (RULE + 'score = "high"\n', ["'zorb'", "'score'"]),
}


@pytest.mark.parametrize(("text", "parts"), BROKEN.values(), ids=BROKEN)
def test_broken_rule_file_is_refused_by_name(
    tmp_path: Path, text: str | bytes, parts: list[str]
) -> None:
    path = write(tmp_path, text)
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_second_rule_is_named_when_it_is_the_broken_one(tmp_path: Path) -> None:
    second = RULE.replace('"zorb"', '"other"') + "score = 2\n"
    assert "'other'" in refusal(write(tmp_path, RULE + second))


def test_rule_id_of_the_shipped_rules_is_taken(tmp_path: Path) -> None:
    taken = next(r.id for r in load().rules if r.kind == "miracle").partition("/")[2]
    assert f"'miracle/{taken}' is taken" in refusal(write(tmp_path, RULE.replace("zorb", taken, 1)))


def test_missing_file_and_empty_folder_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.toml") == f"{tmp_path / 'no.toml'}: no such rule file"
    assert refusal(tmp_path) == f"{tmp_path}: the folder holds no .toml rule file"


def test_second_file_may_not_repeat_the_first(tmp_path: Path) -> None:
    first = write(tmp_path, RULE)
    second = write(tmp_path, 'kind = "miracle"\n' + RULE, "more.toml")
    assert refusal(first, second).startswith(f"{second}: rule 'zorb'")


DAMAGED = {
    "key of a kind": ("guaranteed_cure/miracle.toml", "why ", "whi ", "kind: unknown key 'whi'"),
    "severity": ("guaranteed_cure/miracle.toml", '"high"', '"dire"', "key 'severity' must be"),
    "reference": (
        "guaranteed_cure/miracle.toml",
        '\nid = "',
        '\nid = "X-',
        "not in references.toml",
    ),
    "key of a category": ("guaranteed_cure/category.toml", "unless", "unles", "key 'unles'"),
    "name of a word list": ("words.toml", "\nbodypart", "\nBodyPart", "word list 'BodyPart'"),
    "words in a circle": ("words.toml", "{disease}", "{condition}", "in a circle"),
    "key of a reference": ("references.toml", "url", "link", "unknown key 'link'"),
}


@pytest.mark.parametrize(("name", "old", "new", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_installation_is_named_too(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    old: str,
    new: str,
    message: str,
) -> None:
    copy = tmp_path / "rules"
    shutil.copytree(RULES, copy)
    text = (copy / name).read_text("utf-8")
    assert old in text
    (copy / name).write_text(text.replace(old, new, 1), "utf-8")
    monkeypatch.setattr(ruleset, "RULES", copy)
    with pytest.raises(RulesetError) as caught:
        load.__wrapped__()
    assert str(caught.value).startswith(str(copy))
    assert message in str(caught.value)


# The marks of examples


MARKED = {
    "one": ("We [cure] it.", "We cure it.", [(3, 7)]),
    "two": ("[A] b [c]", "A b c", [(0, 1), (4, 5)]),
    "whole": ("[cure]", "cure", [(0, 4)]),
    "none": ("plain", "plain", []),
    "empty mark": ("a [] b", "a [] b", []),
    "emoji": ("🔥 [now]", "🔥 now", [(2, 5)]),
}


@pytest.mark.parametrize(("example", "text", "spans"), MARKED.values(), ids=MARKED)
def test_marks_become_spans(example: str, text: str, spans: list[tuple[int, int]]) -> None:
    assert unmark(example) == (text, tuple(spans))
