"""Property tests draw the same examples everywhere, and a busy machine fails none of them."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "blue-pencil",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("blue-pencil")
