"""What every test may ask for."""

from collections.abc import Iterator

import pytest

from tests.truthserver.process import TruthServer, build


@pytest.fixture(scope="session")
def _truth_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TruthServer]:
    with TruthServer(build(), tmp_path_factory.mktemp("truth") / "truth.jsonl") as server:
        yield server


@pytest.fixture
def truth(_truth_process: TruthServer) -> TruthServer:
    """The Go server that knows when it sent what, its counts at zero and its log empty."""
    _truth_process.reset()
    return _truth_process
