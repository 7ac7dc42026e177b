import os

from tests.leaving import heard  # noqa: F401  # a fixture
from tests.models.conftest import tiny  # noqa: F401  # a fixture
from tests.seen import seen_live  # noqa: F401  # a fixture

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else litellm asks the internet when it is imported
