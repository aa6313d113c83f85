"""Where the rejected messages of a source lie: in dead-letter topics if it is Kafka, else in the store.

The topics are `<topic>.dead`, one that the setting `dead` names, or none with `dead=store`
(`collector.kafka.deadtopics` says what they guarantee).
"""

from collections.abc import Mapping

from collector.kafka.address import is_kafka, parse_address
from collector.kafka.opening import needing_kafka
from collector.kafka.settings import kafka_settings
from txwatch.ports import QuarantineStore

IN_THE_STORE = "store"


def open_dead_letters(source: str, environment: Mapping[str, str]) -> QuarantineStore | None:
    """Return the dead-letter topics of a source's address, None where the store keeps its quarantine.

    Nothing is connected yet.  Raises UsageError or ConfigurationError for what cannot be.
    """
    if not is_kafka(source):
        return None
    address = parse_address(source)
    if kafka_settings(address, environment).dead == IN_THE_STORE:
        return None
    with needing_kafka():
        from collector.kafka.deadtopics import DeadLetterTopics  # noqa: PLC0415 - the library is optional

        return DeadLetterTopics(address, environment)
