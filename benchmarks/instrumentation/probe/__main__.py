"""What runs in each library's own environment: `python -m benchmarks.instrumentation.probe LIBRARY PART [URL]`.

It answers in lines of JSON on standard output; whatever a library prints goes to standard error.
"""

import importlib
import json
import os
import sys
from typing import Any, Final

_OUT = os.fdopen(os.dup(1), "w")
_HERE: Final = "benchmarks.instrumentation.probe."
_PARTS: Final = {
    "quiet": ("behaviour", "quiet"),
    "as-it-comes": ("behaviour", "as_it_comes"),
    "double": ("double", "spans_with_usage"),
    "first": ("first_calls", "first_calls"),
}
"""The module and the function of each; only that module is loaded, so that a process is cold but for what it needs."""


def _say(answer: Any) -> None:
    print(json.dumps(answer), file=_OUT, flush=True)


def main(library: str, part: str, url: str = "") -> None:
    os.dup2(2, 1)
    if part == "cost":
        importlib.import_module(_HERE + "cost").serve(library, _say)
    else:
        module, function = _PARTS[part]
        _say(getattr(importlib.import_module(_HERE + module), function)(library, url))


if __name__ == "__main__":
    main(*sys.argv[1:])
