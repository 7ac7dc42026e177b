"""How many descriptors a process may have open: the limit that a run with many connections meets first."""

import sys
from collections.abc import Sequence
from typing import Final

from otel_llm.errors import ConfigError
from otel_llm.load.plan.plan import LoadPlan
from otel_llm.load.plan.share import Share

__all__ = ["raise_descriptor_limit"]

_BESIDE: Final = 40
"""What a process has open beside its connections, at most: its streams, its loop, its channel, libraries."""
_OF_A_WORKER: Final = 3
"""What the coordinator has open for each worker."""


def raise_descriptor_limit(plan: LoadPlan, shares: Sequence[Share]) -> None:
    """Raise the soft limit as far as the plan needs and the hard limit allows; workers inherit it.

    Raises ConfigError when a closed loop needs more. An open loop has under way what its server leaves it: where that
    is too much, connections fail.
    """
    if sys.platform == "win32":
        return
    import resource

    places = max(share.own_slots for share in shares)
    if plan.open_loop:
        places = min(places if plan.max_concurrency else plan.number, plan.number)
    needed = max(places, _OF_A_WORKER * len(shares)) + _BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    if not plan.open_loop and needed > most:
        wanted = f"room for {plan.parallel} connections (--parallel) and {_BESIDE} files"
        raise ConfigError(wanted, f"{most} descriptors a process", "raise ulimit -Hn, or give --workers")
    if soft != resource.RLIM_INFINITY and soft < min(needed, most):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(needed, most), hard))
