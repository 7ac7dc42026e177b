from tests.leaving import heard  # noqa: F401  # a fixture
from tests.seen import clock, parent, seen, seen_live  # noqa: F401  # fixtures
