"""A run on several machines: what each of them did, how late it was itself, and how far apart their clocks are."""

from collections.abc import Mapping, Sequence
from typing import Any

from otel_llm.load.figures.health import Health
from otel_llm.load.figures.verdict import ClientError
from otel_llm.measures import Facts

__all__ = ["Machine", "client_of_all", "label_of"]


class Machine:
    """What one machine did of a run."""

    def __init__(self, name: str, health: Health, shard: str | None = None) -> None:
        """name: of the host; health: of its workers; shard: which part it did, such as `1/3`"""
        self.name, self.shard, self.health = name, shard, health
        self.clock: Mapping[str, Any] | None = None
        """How its clock compares with the coordinator's, once the run is over; None where there is none."""
        self._client = ClientError()
        self._requests = dict.fromkeys(("sent", "succeeded", "failed", "cancelled", "closed_early"), 0)

    def add(self, facts: Sequence[Facts]) -> None:
        """Take requests of this machine that ended."""
        self._client.add(facts)
        for fact in facts:
            outcome = fact.record.outcome
            self._requests["sent"] += "unsent" not in fact.record.flags
            self._requests[_COUNTED_AS.get(outcome, "failed")] += 1

    def report(self, start_ns: int | None) -> dict[str, Any]:
        """Return its item of the `machines` of a report. start_ns: of the run, on the clock of the records"""
        return {
            "name": self.name,
            "shard": self.shard,
            "requests": self._requests,
            "clock": self.clock,
            "client": self._client.report(self.health, start_ns),
        }


_COUNTED_AS = {"complete": "succeeded", "cancelled": "cancelled", "closed_early": "closed_early"}


def client_of_all(client: Mapping[str, Any], machines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the `client` of a run on several machines: the limit is whichever of them was, and the reasons say which.

    client:   of all their requests together; machines: the `machines` of the report
    """
    why = {label_of(each): each["client"]["reasons"] for each in machines}
    reasons = [f"{label}: {', '.join(said)}" for label, said in why.items() if said]
    return {**client, "saturated": bool(reasons), "reasons": reasons}


def label_of(machine: Mapping[str, Any]) -> str:
    """Return what a machine is called in a sentence."""
    return machine["name"] if machine["shard"] is None else f"shard {machine['shard']} on {machine['name']}"
