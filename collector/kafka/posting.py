"""Sending messages to topics so that they are there: acknowledged by all replicas, or told why not."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from collector.kafka.clients import opened
from collector.kafka.letters import Letter
from collector.kafka.settings import Config
from txwatch.errors import StoreBusyError, StoreError

DELIVERED_WITHIN = 20.0
"""Seconds for a batch; above our `delivery.timeout.ms`, after which librdkafka says what it gave up."""

ANSWERED_WITHIN = 8.0

_FOR_GOOD = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
    }
)

Post = tuple[str, Letter]
"""A topic and what goes there."""

Refused = list[tuple[str, Letter, KafkaError]]


class PostOffice:
    """Sends batches; nothing is connected before the first.  `what` is sent, for sentences.

    A letter that is too long for its topic is shortened until it fits, where `may_shorten`.
    """

    def __init__(self, producer: Config, client: Config, what: str, *, may_shorten: bool = False) -> None:
        self._config = producer
        self._client = client
        self._what = what
        self._may_shorten = may_shorten
        self._producer: Producer | None = None
        self._made: set[str] = set()

    def make(self, topics: Iterable[str], settings: Callable[[], dict[str, str]]) -> None:
        """Make the topics that are missing; whether we may is seen when something is sent."""
        unsure = sorted(set(topics) - self._made)
        if not unsure:
            return
        admin = opened(AdminClient, self._client)
        present = _present(admin)
        new = [NewTopic(topic, 1, -1, config=settings()) for topic in unsure if topic not in present]
        for made in admin.create_topics(new, request_timeout=ANSWERED_WITHIN).values() if new else ():
            made.exception()
        self._made.update(unsure)

    def send(self, posts: Sequence[Post]) -> None:
        """Return when all are acknowledged; raises StoreBusyError while Kafka does not take them."""
        left = posts
        while left:
            left = [self._shorter(topic, each, error) for topic, each, error in self._try(left)]

    def _try(self, posts: Sequence[Post]) -> Refused:
        if self._producer is None:
            self._producer = opened(Producer, self._config)
        refused = Refused()
        for topic, each in posts:
            _hand_over(self._producer, topic, each, refused)
        left = self._producer.flush(DELIVERED_WITHIN)
        if left:
            self._producer.purge()
            self._producer.flush(1)
            self._producer = None
            raise StoreBusyError(f"Kafka does not take {left:,} {self._what}")
        return refused

    def _shorter(self, topic: str, each: Letter, error: KafkaError) -> Post:
        if self._may_shorten and error.code() == KafkaError.MSG_SIZE_TOO_LARGE and each.value:
            return topic, each.shortened()
        self._producer = None
        self._made.discard(topic)
        kind = StoreError if error.code() in _FOR_GOOD else StoreBusyError
        raise kind(f"Kafka does not take {self._what} in {topic}: {error.str()}")


def _present(admin: AdminClient) -> set[str]:
    try:
        return set(admin.list_topics(timeout=ANSWERED_WITHIN).topics)
    except KafkaException as error:
        raise StoreBusyError(f"Kafka does not answer: {error.args[0].str()}") from error


def _hand_over(producer: Producer, topic: str, each: Letter, refused: Refused) -> None:
    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            refused.append((topic, each, error))

    while True:
        try:
            producer.produce(topic, each.value, each.key, headers=list(each.headers), on_delivery=delivered)
        except BufferError:
            producer.poll(0.1)
        except KafkaException as error:
            return refused.append((topic, each, error.args[0]))
        else:
            producer.poll(0)
            return None


def milliseconds(span: timedelta) -> str:
    """Return a span as settings of topics want it."""
    return str(span // timedelta(milliseconds=1))
