"""How long things are kept, as rules.yaml says: a live message must not be older than transactions."""

from datetime import timedelta

from txwatch.settings import Settings
from txwatch.shipped import retention_policy


def kept_transactions(settings: Settings) -> timedelta:
    """Return how far back an event time may lie; raises ConfigurationError for a faulty rules file."""
    return retention_policy(settings).transactions
