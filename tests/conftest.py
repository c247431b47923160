"""What holds for all tests."""

from hypothesis import HealthCheck, settings

# How fast a machine draws examples, and runs them, is no property of the code: timings go into benchmarks.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
