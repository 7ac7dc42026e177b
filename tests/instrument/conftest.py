from tests.seen import clock, parent, seen, seen_live  # noqa: F401  # fixtures
