"""How many messages wait in each partition of ours, by librdkafka's statistics of every second."""

from collections.abc import Iterable

import msgspec

from collector.kafka.taking import Place
from txwatch.ports import Figure


class Lag:
    """What the last statistics said; nothing is asked over the network."""

    def __init__(self) -> None:
        self._said = _Statistics()

    def heard(self, statistics: str) -> None:
        """Take note of statistics: the consumer's `stats_cb`."""
        self._said = msgspec.json.decode(statistics, type=_Statistics)

    def of(self, places: Iterable[Place]) -> dict[Place, int]:
        """Return the messages after the committed ones; a partition of which nothing is known is left out."""
        lags = {(topic, number): self._lag(topic, number) for topic, number in places}
        return {place: lag for place, lag in lags.items() if lag >= 0}

    def figures(self, places: Iterable[Place]) -> tuple[Figure, ...]:
        """Return the same as figures of the collector, one for each partition."""
        return tuple(
            Figure(name="kafka_lag", value=waiting, labels={"topic": topic, "partition": str(number)})
            for (topic, number), waiting in sorted(self.of(places).items())
        )

    def _lag(self, topic: str, number: int) -> int:
        partitions = self._said.topics.get(topic, _Topic()).partitions
        return partitions.get(str(number), _Partition()).consumer_lag


class _Partition(msgspec.Struct, frozen=True):
    consumer_lag: int = -1


class _Topic(msgspec.Struct, frozen=True):
    partitions: dict[str, _Partition] = {}


class _Statistics(msgspec.Struct, frozen=True):
    topics: dict[str, _Topic] = {}
