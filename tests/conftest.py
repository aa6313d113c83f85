"""What every test may ask for, and how hypothesis works here."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["server_fixtures", "influx_fixtures", "kafka_topics"]

settings.register_profile(
    "txwatch",
    deadline=None,  # no test measures time
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no fault of a strategy
)
settings.load_profile("txwatch")
