"""A body that is no text and has no events: what each read brought of it is one."""

from collections.abc import Sequence

__all__ = ["Pieces"]


class Pieces:
    """A framer, of a recording that is sent while it is made."""

    __slots__ = ()

    def feed(self, read: bytes) -> Sequence[bytes]:
        """Return what was read."""
        return (read,) if read else ()

    def end(self) -> Sequence[bytes]:
        """Return what the end of the body completes: nothing."""
        return ()
