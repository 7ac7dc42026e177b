"""What runs in each library's own environment: `python -m benchmarks.instrumentation.probe LIBRARY PART [URL]`.

It answers in lines of JSON on standard output; whatever a library prints goes to standard error.
"""

import json
import os
import sys
from typing import Any

from benchmarks.instrumentation.probe import behaviour, cost
from benchmarks.instrumentation.probe.libraries import switch_on
from benchmarks.instrumentation.probe.points import Functions
from benchmarks.instrumentation.probe.seen import Seen

_OUT = os.fdopen(os.dup(1), "w")


def _say(answer: Any) -> None:
    print(json.dumps(answer), file=_OUT, flush=True)


def main(library: str, part: str, url: str = "") -> None:
    os.dup2(2, 1)
    if part == "cost":
        seen, bare = Seen(), Functions()
        switch_on(library, quiet=True)
        cost.serve(bare, Functions(), seen, _say)
    elif part == "quiet":
        _say(behaviour.quiet(library, url))
    else:
        _say(behaviour.as_it_comes(library, url))


if __name__ == "__main__":
    main(*sys.argv[1:])
