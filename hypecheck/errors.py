"""The errors a user can act on. Each message says what is wrong, where, and what to do."""


class HypeCheckError(Exception):
    """Base of every error that HypeCheck raises on purpose."""


class RulesetError(HypeCheckError):
    """A rule file is broken; the message names the file, the rule and the key."""


class ModelError(HypeCheckError):
    """A model artefact is missing, damaged, tampered with, or does not fit the rules."""


class InputError(HypeCheckError):
    """A text cannot be read: not UTF-8, binary, missing, a directory, too large."""


class CorpusError(HypeCheckError):
    """A labelled text is malformed; the message names file, line and what is wrong."""
