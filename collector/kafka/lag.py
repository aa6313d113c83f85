"""How many messages wait in each partition of ours, from what the last fetches said."""

import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaException, TopicPartition

from collector.kafka.taking import Place

LOOK_SECONDS = 1.0


class Lag:
    """Looked up at most once a second; asks librdkafka's memory, never the network."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looked = float("-inf")
        self._found: dict[Place, int] = {}

    def of(
        self, consumer: Consumer, assigned: Iterable[Place], stored: Mapping[Place, int]
    ) -> dict[Place, int]:
        """Return the messages beyond those stored; a partition of which nothing is known yet is left out."""
        if self._monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = self._monotonic()
            waiting = {place: _waiting(consumer, place, stored.get(place)) for place in assigned}
            self._found = {place: count for place, count in waiting.items() if count is not None}
        return self._found


def _waiting(consumer: Consumer, place: Place, following: int | None) -> int | None:
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(*place), cached=True)
    except (KafkaException, RuntimeError):
        return None
    if high < 0:
        return None
    if following is None:
        return 0 if low == high else None
    return max(0, high - following)
