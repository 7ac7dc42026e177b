"""The house as a graph: no circle, no long stairs. What may import what is checked by `make lint`."""

from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter

import grimp
import pytest

PACKAGES = ("otel_llm", "otel_llm_collector", "otel_llm_dashboards", "otel_llm_plugins")


@cache
def imports() -> dict[str, set[str]]:
    """Return what each module imports, functions' and type checkers' imports included."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def in_order() -> Iterator[str]:
    """Yield every module after all that it imports. Raises graphlib.CycleError where there is a circle."""
    return TopologicalSorter(imports()).static_order()


def test_no_modules_need_each_other() -> None:
    assert set(in_order()) == set(imports())


def test_no_module_is_deep() -> None:
    depth: dict[str, int] = {}
    for module in in_order():
        depth[module] = 1 + max((depth[needed] for needed in imports()[module]), default=0)
    assert max(depth.values()) <= 10, {module: floor for module, floor in depth.items() if floor > 10}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_a_drawer(package: str) -> None:
    rooms = {name.rpartition(".")[2] for name in imports() if name.startswith(package)}
    assert rooms.isdisjoint({"utils", "util", "helpers", "helper", "common", "manager", "misc"})
