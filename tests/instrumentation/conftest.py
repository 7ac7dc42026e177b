from collections.abc import Iterator

import pytest
import trustme

from tests.exits import heard  # noqa: F401  # a fixture
from tests.telemetry_in_memory import clock, parent, seen, seen_live  # noqa: F401  # fixtures


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A client of a library reads every authority of the web when it is made, 60 ms; no test calls one by TLS."""
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield
