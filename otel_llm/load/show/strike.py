"""Strikes the secrets of a run out of a text, wherever they turn up: servers repeat a key that they refuse."""

from collections.abc import Iterator
from typing import Final

from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.show.redact import REDACTED, redact

__all__ = ["Strike"]

_SHORTEST: Final = 6  # a "secret" of a few characters would be struck out of ordinary words


class Strike:
    """Call it with a text; it returns the text with `[redacted]` in place of each secret of the plan's headers."""

    def __init__(self, plan: LoadPlan) -> None:
        self._secrets = sorted(_secrets(plan), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return text


def _secrets(plan: LoadPlan) -> Iterator[str]:
    """Yield the values of secret-sounding headers, with and without their scheme."""
    headers = plan.all_headers(0)
    for name, shown in redact(headers).items():
        if shown == REDACTED:
            yield from (word for word in (headers[name], headers[name].split()[-1]) if len(word) >= _SHORTEST)
