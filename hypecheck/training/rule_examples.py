"""The rules' own examples as labelled texts: stock phrases that the corpus hardly holds."""

from __future__ import annotations

from collections.abc import Iterator

from hypecheck.checker import Checker
from hypecheck.corpus import Flag, LabelledDocument, LabelledSentence
from hypecheck.ruleset import unmark


def documents(checker: Checker) -> Iterator[LabelledDocument]:
    """Give each one-sentence example as a text of its own.

    ``fires`` carry their kind. ``silent`` count as unflagged where no rule at all stands.

    Args:
        checker: rules only.
    """
    for rule in checker.ruleset.rules:
        for n, example in enumerate(rule.fires):
            text, ((start, end),) = unmark(example)
            if len(checker.check(text).sentences) == 1:
                flag = Flag(start, end, (rule.kind,))
                yield _document(f"{rule.id}/fires/{n}", text, (flag,))
        for n, text in enumerate(rule.silent):
            report = checker.check(text)
            if len(report.sentences) == 1 and not report.findings:
                yield _document(f"{rule.id}/silent/{n}", text, ())


def _document(name: str, text: str, flags: tuple[Flag, ...]) -> LabelledDocument:
    sentence = LabelledSentence(text, flags, unsure=False)
    return LabelledDocument(name, (sentence,), "rules", {"form": "contrast"})
