"""The HTTP service: a thin front door over :class:`hypecheck.Checker`."""
