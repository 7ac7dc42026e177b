"""What a text adds to the one before it, where a server may repeat with each event all that it has said."""

from collections.abc import Hashable

__all__ = ["Additions"]


class Additions:
    """Tells increments from cumulative texts of one answer, by the texts alone.

    Texts are cumulative as long as each repeats the one before it and adds to it. The first that does not settles that
    they are increments. A second piece that begins with the whole first one ("1", "10") is read as its repetition
    until then; only its text, not its arrival, is the shorter for it.
    """

    __slots__ = ("_grew", "_increments", "_so_far")

    def __init__(self) -> None:
        self._grew = self._increments = False
        self._so_far: dict[Hashable, str] = {}

    def of(self, words: str, tokens: int, key: Hashable = None) -> str:
        """Return what `words` add to what was said before.

        tokens: how many the event brought, as far as it says. One that brings some and says no more than the one before
                is an increment ("ha", "ha"), or where texts have grown already a token without text
        key:    which of several texts it is that grows (choice, kind)
        """
        if not words or self._increments:
            return words
        before = self._so_far.get(key, "")
        grows = len(words) > len(before)
        if before and not (words.startswith(before) and (grows or self._grew or not tokens)):
            self._increments = True
            return words
        self._grew |= bool(before) and grows
        self._so_far[key] = words
        return words[len(before) :]
