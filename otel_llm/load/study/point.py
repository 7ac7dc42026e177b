"""A point of a study: a load, tried once."""

import msgspec

from otel_llm.load.study.loads import Load, Loop

__all__ = ["Point"]


class Point(msgspec.Struct, frozen=True):
    """A load, tried once. number: its place in the study, from 1; repeat: from 0"""

    number: int
    loop: Loop
    load: float
    repeat: int = 0

    @property
    def asked(self) -> Load:
        return Load(self.loop, self.load)
