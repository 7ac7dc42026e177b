"""The events of an answer, kept small: events that differ in nothing but their text are stored as their text only."""

from collections.abc import Sequence

import msgspec
import orjson

__all__ = ["Content"]

_SEPARATOR = b"\x1e"  # ASCII's own record separator: JSON cannot hold it unescaped
_WHOLE = -1


class Content(msgspec.Struct, array_like=True):
    """What the events of one answer said, in order.

    around: what stands before and after the texts of events that repeat
    parts:  (number of what is around them, texts), or (-1, whole events)
    """

    around: list[tuple[bytes, bytes]] = []
    parts: list[tuple[int, bytes]] = []

    def add(self, events: Sequence[bytes]) -> None:
        """Take events as they are."""
        if events:
            self.parts.append((_WHOLE, _SEPARATOR.join(events)))

    def add_texts(self, texts: Sequence[bytes]) -> None:
        """Take events that are the latest of `around` with these texts between, which JSON need not escape."""
        self.parts.append((len(self.around) - 1, _SEPARATOR.join(texts)))

    def events(self) -> list[bytes]:
        """Return the data of each event, in order."""
        found: list[bytes] = []
        for which, joined in self.parts:
            texts = joined.split(_SEPARATOR)
            if which == _WHOLE:
                found += texts
            else:
                before, after = self.around[which]
                found += [b"%b%b%b" % (before, text, after) for text in texts]
        return found

    def to_json(self) -> str:
        """Return the events as a JSON array of strings."""
        around = [(_escaped(before), _escaped(after)) for before, after in self.around]
        found = []
        for which, joined in self.parts:
            if which == _WHOLE:
                events = joined.decode("utf-8", "replace").split(_SEPARATOR.decode())
                found.append(orjson.dumps(events)[1:-1])
            else:
                before, after = around[which]
                texts = joined.replace(_SEPARATOR, after + b'","' + before)
                found.append(b'"%b%b%b"' % (before, texts, after))
        return (b"[%b]" % b",".join(found)).decode()


def _escaped(part: bytes) -> bytes:
    return orjson.dumps(part.decode())[1:-1]
