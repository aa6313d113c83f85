"""What Kafka complains about: counted, kept for a while, and told apart by whether waiting helps."""

import time
from collections import Counter
from collections.abc import Callable

from confluent_kafka import KafkaError

FRESH_SECONDS = 60.0
"""So long after an error it is still named; librdkafka repeats what lasts, at most every 30 seconds."""

_FOR_GOOD = frozenset(
    {
        KafkaError._AUTHENTICATION,  # noqa: SLF001 - the library's public constants begin so
        KafkaError._SSL,  # noqa: SLF001 - same
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
    }
)


class Trouble:
    """Errors since the start.  `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        """Errors by Kafka's name of them."""
        self.refusal = ""
        """The last error that waiting does not cure."""
        self._monotonic = monotonic
        self._sentence = ""
        self._at = 0.0

    def note(self, error: KafkaError) -> None:
        """Count an error."""
        self.counts[error.name().lstrip("_").lower()] += 1
        self._sentence, self._at = f"Kafka: {error.str()}", self._monotonic()
        if error.fatal() or error.code() in _FOR_GOOD:
            self.refusal = self._sentence

    def over(self) -> None:
        """Take note that Kafka answers again."""
        self._sentence = ""

    def sentence(self, *, lasting: bool = False) -> str:
        """Return the last error while it is fresh, however old if it is known to last, else nothing."""
        return self._sentence if lasting or self._monotonic() - self._at < FRESH_SECONDS else ""
