"""What can go wrong, sorted by whose doing it is.

Every message says what was expected, what was got and what to do next, in one line.
"""

__all__ = ["ConfigError", "OtelLLMError", "PluginError", "RemoteError"]

_MISSING = object()


class OtelLLMError(Exception):
    """Root of the tree. `expected`, `got` and `next_step` are kept apart, so that they can be shown differently."""

    def __init__(self, expected: str, got: object = _MISSING, next_step: str = "") -> None:
        self.expected, self.got, self.next_step = expected, got, next_step
        message = f"expected {expected}"
        if got is not _MISSING:
            message += f", got {got if isinstance(got, BaseException) else repr(got)}"
        super().__init__(f"{message}; {next_step}" if next_step else message)


class ConfigError(OtelLLMError):
    """Yours: an option, a file or an environment variable that cannot be used."""


class RemoteError(OtelLLMError):
    """Theirs: the server or the network did not do what the protocol says.

    `kind` is what error counts are grouped by, for example `connect`, `http_429` or `stream_error`.
    """

    def __init__(self, kind: str, expected: str, got: object = _MISSING, next_step: str = "") -> None:
        super().__init__(expected, got, next_step)
        self.kind = kind


class PluginError(OtelLLMError):
    """The plugin's: it cannot be loaded, or it broke the contract it was written for."""
