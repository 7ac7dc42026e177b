"""The import of a package, told just before its first line runs: what measures it is loaded by then.

`wrapt`, which tells of the import of a module afterwards, is not used here: its own import takes more time than
`instrument` may.
"""

import sys
from _thread import get_ident
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from typing import Any, Final

__all__ = ["IMPORTS", "Imports"]

_ANY: Final = ""
"""The name under which steps wait for any package that is not of the standard library."""


class Imports:
    """A finder of Python's imports that finds nothing itself, and takes the steps that wait for what is imported.

    A step is taken once, or once in each of several threads that import the same at the same time, and must not raise.
    """

    def __init__(self) -> None:
        self._steps: dict[str, list[Callable[[], object]]] = {}
        self._under_way: set[tuple[str, int]] = set()

    def before(self, module: str, step: Callable[[], object]) -> None:
        """Take a step before a module is imported; now, where it is imported already."""
        self._await(module, step, now=sys.modules.get(module) is not None)

    def before_any(self, step: Callable[[], object]) -> None:
        """Take a step before any package is imported that is not of the standard library; now, where one is."""
        self._await(_ANY, step, now=_is_any_foreign(sys.modules))

    def forget(self) -> None:
        """Take none of the steps that wait. The finder stays: threads may be walking along `sys.meta_path`."""
        self._steps.clear()

    def _await(self, name: str, step: Callable[[], object], *, now: bool) -> None:
        self._steps.setdefault(name, []).append(step)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        if now:
            self._take(name)

    def _take(self, name: str) -> None:
        here = name, get_ident()
        steps = self._steps.get(name)
        if steps is None or here in self._under_way:  # a step may import, and look for, what it waits for
            return
        self._under_way.add(here)
        try:
            for step in steps:
                step()
        finally:
            self._under_way.discard(here)
        if self._steps.get(name) is steps:  # else they were forgotten meanwhile, and others wait now
            del self._steps[name]

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Take the steps that wait for a module which is about to be imported, and leave it to who finds it."""
        if _ANY in self._steps and _is_any_foreign((fullname,)):
            self._take(_ANY)
        if fullname not in self._steps or self._found(fullname, path, target) is None:
            return None
        self._take(fullname)
        return self._found(fullname, path, target)  # anew: a step may have put a finder where the search has been

    def _found(self, *asked: Any) -> ModuleSpec | None:
        searches = (getattr(finder, "find_spec", None) for finder in tuple(sys.meta_path) if finder is not self)
        found = (search(*asked) for search in searches if search is not None)
        return next((spec for spec in found if spec is not None), None)


def _is_any_foreign(modules: Iterable[str]) -> bool:
    """Return whether a module is neither of the standard library nor ours. Installers' own begin with an underscore."""
    tops = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"otel_llm"}
    return any(not top.startswith("_") for top in tops)


IMPORTS: Final = Imports()
"""Of this process."""
