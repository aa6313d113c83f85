"""How long things are kept, as rules.yaml says: a live message must not be older than transactions."""

from datetime import timedelta

from txwatch.ports import RetentionPolicy
from txwatch.settings import Settings
from txwatch.shipped import rules_document, rules_path, section


def kept_transactions(settings: Settings) -> timedelta:
    """Return how far back an event time may lie; raises ConfigurationError for a faulty rules file."""
    return retention_policy(settings).transactions


def retention_policy(settings: Settings) -> RetentionPolicy:
    """Return how long everything is kept; raises ConfigurationError for a faulty rules file."""
    document = rules_document(rules_path(settings))
    return section(document, "retention", RetentionPolicy, RetentionPolicy())
