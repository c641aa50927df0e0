"""Property tests draw the same examples everywhere, and a busy machine fails none of them."""

import gc

from hypothesis import HealthCheck, settings

settings.register_profile(
    "blue-pencil",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("blue-pencil")


def pytest_collection_finish() -> None:
    """Have the garbage collector pass over what the imports made.

    statsmodels collects after every correction for multiplicity; with all modules loaded that took a second.
    """
    gc.collect()
    gc.freeze()
