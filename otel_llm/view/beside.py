"""Calls of a client beside the spans of the server that answered them, joined by their trace."""

from typing import Any, Final

import numpy as np

from otel_llm.view.calls import CLIENT, OK, OTHER, SERVER, Held, Rows
from otel_llm.view.figures import figure_of_values

__all__ = ["beside"]

_SEEN_BY: Final = {SERVER: 0, OTHER: 1}


def beside(held: Held, rows: Rows) -> list[dict[str, Any]]:
    """Return, for each load run and each model of other clients, what client and server saw of the same calls.

    `client` and `server` have the figures `duration` and `first_token`, the server also `queue`; `outside` is what of
    each call's time was outside the server's span: the network, proxies, and the client.
    """
    seen_by = np.array([group.seen_by for group in held.groups] or [""])
    whose = seen_by[rows["group"]] if len(rows) else np.array([], str)
    clients = rows[(whose == CLIENT) & (rows["trace"] != 0) & (rows["state"] == OK)]
    servers = rows[(whose != CLIENT) & (rows["trace"] != 0)]
    if not len(clients) or not len(servers):
        return []
    rank = np.array([_SEEN_BY.get(group.seen_by, 2) for group in held.groups])
    servers = servers[np.lexsort((-servers["duration"], rank[servers["group"]], servers["trace"]))]
    found = []
    for group in np.unique(clients["group"]).tolist():
        mine, theirs = _joined(clients[clients["group"] == group], servers)
        if len(mine):
            found.append({**held.groups[group]._asdict(), **_both(mine, theirs)})
    return sorted(found, key=lambda each: -each["joined"])


def _joined(clients: Rows, servers: Rows) -> tuple[Rows, Rows]:
    """Return the calls for which the server has a span that can lie inside, and that span, row by row."""
    traces, first = np.unique(servers["trace"], return_index=True)
    at = np.clip(np.searchsorted(traces, clients["trace"]), 0, len(traces) - 1)
    theirs = servers[first[at]]
    # a server's span that took longer is around the call: that of an application which made it
    fits = (traces[at] == clients["trace"]) & (theirs["duration"] <= clients["duration"])
    return clients[fits], theirs[fits]


def _both(mine: Rows, theirs: Rows) -> dict[str, Any]:
    return {
        "joined": len(mine),
        "client": {name: figure_of_values(mine[name]) for name in ("duration", "first_token")},
        "server": {name: figure_of_values(theirs[name]) for name in ("duration", "first_token", "queue")},
        "outside": figure_of_values(mine["duration"] - theirs["duration"]),
    }
