"""What metrics are called. Tests ask for a name by its key; `tests/test_vocabulary.py` alone spells them."""

from otel_llm.conventions import V1_41, Profile, instrument

__all__ = ["metric_name"]


def metric_name(key: str, profile: Profile = V1_41) -> str:
    """Return the name of an instrument under one profile of the conventions."""
    (name,) = instrument(key).names((profile,))
    return name
