"""Settings of Kafka: ours, and any of librdkafka's, from the address or from `TXWATCH_KAFKA_*`.  All pure.

`TXWATCH_KAFKA_SECURITY_PROTOCOL` is librdkafka's `security.protocol`; what the address says goes first.
"""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from collector.kafka.address import KafkaAddress, is_pattern, variable
from txwatch.errors import ConfigurationError

PREFIX = "TXWATCH_KAFKA_"
SUFFIX = ".dead"
"""What the name of a dead-letter topic adds to that of its topic."""

Config = dict[str, Any]
"""What librdkafka is given: texts, numbers, and functions for its callbacks."""

CLIENT: Config = {
    "client.id": "txwatch",
    "topic.metadata.refresh.interval.ms": 10_000,  # how soon new partitions are seen
    "reconnect.backoff.ms": 200,
    "reconnect.backoff.max.ms": 5_000,
    "log_level": 2,  # what goes wrong is said once, by health and metrics, not on standard error
}

CONSUMER: Config = {
    "auto.offset.reset": "earliest",  # a new group begins at the beginning: nothing is lost
    "session.timeout.ms": 10_000,  # so long a killed collector keeps its partitions
    "queued.max.messages.kbytes": 32_768,
    "fetch.max.bytes": 16_777_216,
    "fetch.queue.backoff.ms": 20,
    "statistics.interval.ms": 1_000,  # from which the lag is read
}
"""Ours where nothing else is said; memory stays bounded by the queue and one fetch."""

PRODUCER: Config = {
    "acks": "all",
    "enable.idempotence": True,
    "linger.ms": 20,
    "delivery.timeout.ms": 15_000,
}

GUARANTEE: Config = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "partition.assignment.strategy": "cooperative-sticky",
}
"""What the guarantee rests on; nobody may set it."""

_CONSUMER_ONLY = (
    "auto.offset.",
    "fetch.",
    "group.",
    "heartbeat.",
    "isolation.",
    "max.poll.",
    "queued.",
    "session.",
    "check.crcs",
    "topic.blacklist",
)


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Our own settings; each is `?name=` of the address or the variable TXWATCH_KAFKA_<NAME>."""

    group: str = "txwatch"
    """The consumer group; collectors of the same group share the partitions."""
    dead: str = ""
    """The dead-letter topic; empty is `<topic>.dead` for each topic, `store` the store's own quarantine."""
    live: Literal["on", "off"] = "on"
    """Whether event times must lie in the live window."""
    epoch: str = "0"
    """Tells a topic from an earlier one of its name where brokers know no topic ids (before Kafka 2.8)."""


def kafka_settings(address: KafkaAddress, environment: Mapping[str, str]) -> KafkaSettings:
    """Return our settings; raises ConfigurationError for a wrong value."""
    own = {name: value for name, value in _all(address, environment).items() if _is_ours(name)}
    try:
        return msgspec.convert(own, KafkaSettings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"a setting of Kafka is wrong: {error}") from error


def consumer_config(address: KafkaAddress, environment: Mapping[str, str]) -> Config:
    """Return librdkafka's configuration of the consumer; raises ConfigurationError for one of GUARANTEE."""
    given = _library(address, environment)
    for name in given:
        if name in GUARANTEE:
            raise ConfigurationError(f"{name} cannot be set: that nothing is lost rests on it")
    group = kafka_settings(address, environment).group
    own = {"bootstrap.servers": address.servers, "group.id": group}
    return CLIENT | CONSUMER | given | GUARANTEE | own


def without_dead_letters(config: Config, address: KafkaAddress, environment: Mapping[str, str]) -> Config:
    """Return a consumer's configuration in which no pattern finds dead letters."""
    if not any(map(is_pattern, address.topics)):
        return config
    one = kafka_settings(address, environment).dead
    kept = (str(config.get("topic.blacklist", "")), rf"\{SUFFIX}$", f"^{re.escape(one)}$" if one else "")
    return config | {"topic.blacklist": ",".join(filter(None, kept))}


def client_config(address: KafkaAddress, environment: Mapping[str, str]) -> Config:
    """Return librdkafka's configuration of an administrative client."""
    given = {
        name: value
        for name, value in _library(address, environment).items()
        if not name.startswith(_CONSUMER_ONLY) and name not in GUARANTEE
    }
    return CLIENT | given | {"bootstrap.servers": address.servers}


def producer_config(address: KafkaAddress, environment: Mapping[str, str]) -> Config:
    """Return librdkafka's configuration of a producer; `acks` stays `all`."""
    return PRODUCER | client_config(address, environment) | {"acks": "all", "enable.idempotence": True}


def _library(address: KafkaAddress, environment: Mapping[str, str]) -> Config:
    return {name: value for name, value in _all(address, environment).items() if not _is_ours(name)}


def _all(address: KafkaAddress, environment: Mapping[str, str]) -> dict[str, str]:
    given = {
        name.removeprefix(PREFIX).lower().replace("_", "."): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    return given | address.options


def _is_ours(name: str) -> bool:
    return name in KafkaSettings.__struct_fields__


def explain(sentence: str) -> str:
    """Return librdkafka's complaint about a setting with where it may come from."""
    name = sentence.partition('"')[2].partition('"')[0]
    return (
        f"Kafka's client refuses a setting: {sentence} (?{name}= or {variable(name)})" if name else sentence
    )
