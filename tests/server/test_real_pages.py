"""Pages and answers that real servers gave, read as they were: `make test-engines` asks the servers themselves.

A file's name has the engine and its version. Each was written by it on 28 November 2026, after the run that its test
describes; of a page only what no table knows at all was left out.
"""

from pathlib import Path

import pytest

from otel_llm_collector.engine_tables.exposition import find_mismatches
from otel_llm_collector.engine_tables.reading import Reading, read_page, recognise
from otel_llm_collector.engine_tables.table import engine_tables, find_engine_table

PAGES = Path(__file__).parent / "pages"


def page(name: str) -> str:
    return (PAGES / name).read_text()


def read(name: str) -> Reading:
    return read_page(page(name), find_engine_table(name.partition("_")[0]))


@pytest.mark.parametrize("name", sorted(path.name for path in PAGES.glob("*.txt")))
def test_a_real_page_is_of_the_engine_that_wrote_it_and_has_what_its_table_lists(name: str) -> None:
    found = recognise(page(name), engine_tables())
    assert found is not None
    assert found.name == name.partition("_")[0]
    assert find_mismatches(found, page(name)) == []


def test_triton_after_thirty_streams_that_ended_and_ten_that_failed() -> None:
    """Every stream took 60 to 160 ms, and 10 of them ended in an error: neither is in its counts."""
    found = read("triton_2.51.0.txt")
    assert found.counters["server_requests"] == 40
    assert set(found.failed.values()) == {0}
    assert found.counters["server_request_time"] / 40 == pytest.approx(0.02696, abs=1e-5)
    assert found.gauges == {"server_requests_waiting": 0}
