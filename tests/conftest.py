"""Property tests draw the same examples everywhere, and a busy machine fails none of them."""

import gc
import os

import pytest
from hypothesis import HealthCheck, settings

# Read when torch is imported: pytest runs as many workers as there are cores, and tiny models gain nothing from a second.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile(
    "blue-pencil",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("blue-pencil")


def pytest_collection_finish() -> None:
    """Collect what the imports left behind, once."""
    gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _loaded_modules_are_not_garbage() -> None:
    """Have the garbage collector pass over what was loaded before.

    statsmodels collects after every correction for multiplicity; with all modules loaded that takes a second.
    """
    gc.freeze()
