"""A clock that a test moves by hand."""

__all__ = ["FakeClock"]


class FakeClock:
    """A clock that stands still until it is advanced. `wall_ns` is `epoch_ns` later than the monotonic time."""

    def __init__(self, at_ns: int = 0, epoch_ns: int = 1_700_000_000_000_000_000) -> None:
        self.at_ns, self.epoch_ns = at_ns, epoch_ns

    def now_ns(self) -> int:
        return self.at_ns

    def wall_ns(self, at_ns: int) -> int:
        return self.epoch_ns + at_ns

    def advance(self, *, seconds: float = 0.0, ns: int = 0) -> None:
        """Move the clock forward."""
        self.at_ns += round(seconds * 1e9) + ns
