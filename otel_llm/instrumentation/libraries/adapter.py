"""What an adapter is: a function that says which functions of a library are calls of a model, and how to read them.

One of another package is found under the entry point group `otel_llm.adapters` by its name. It is called once; it
imports nothing of its library, and what it names is measured when the library is imported, before or after that.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from otel_llm.instrumentation.calls.hooks import Hooks
from otel_llm.instrumentation.calls.options import Options

__all__ = ["Adapter", "LibraryTarget", "Settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user said about all libraries.

    propagate: whether `traceparent` and `tracestate` go out with the requests
    """

    propagate: bool = True


@dataclass(frozen=True, slots=True)
class LibraryTarget:
    """Functions to measure, and how.

    module:  which has them; they are replaced when it has been imported
    owner:   the class in it, "" for the functions of the module itself
    names:   of the functions; one that this version of the library lacks is passed over
    options: what is said of every call, as a user says it to `metrics`
    hooks:   how a call is read
    early:   whether other modules may have bound them by name, and are to be looked through
    below:   whether subclasses have such methods of their own, which are to be measured as well
    """

    module: str
    owner: str
    names: tuple[str, ...]
    options: Options
    hooks: Hooks
    early: bool = False
    below: bool = False


Adapter = Callable[[Settings], Iterable[LibraryTarget]]
