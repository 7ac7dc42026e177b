from tests.exits import heard  # noqa: F401  # a fixture
from tests.telemetry_in_memory import clock, parent, seen, seen_live  # noqa: F401  # fixtures
