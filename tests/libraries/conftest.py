import os

from tests.exits import heard  # noqa: F401  # a fixture
from tests.models.conftest import tiny  # noqa: F401  # a fixture
from tests.telemetry_in_memory import seen_live  # noqa: F401  # a fixture

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else litellm asks the internet when it is imported
