"""The notifier: queue of discoveries -> groups -> outbox -> channels."""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from alerts.amending import amends
from alerts.deciding import Decider
from alerts.groups import Group
from alerts.outbox import Outbox
from alerts.outhealth import DEAD_SECONDS, decided, health_of
from alerts.policy import AlertSettings
from alerts.routebook import RouteState
from alerts.sending import Sender
from alerts.service import CONSUMER as CONSOLE
from alerts.silences import Silence
from txwatch.errors import StoreBusyError
from txwatch.ledger import AlertBook, Channel, Ledger, Step
from txwatch.masking import Pseudonym
from txwatch.model import Anomaly
from txwatch.ports import Clock, Health, Progress

CONSUMER = "notifications"
BEGUN = "notifications/begun"
BATCH = 500
LOOK_SECONDS = 10.0


class RoutedNotifier:
    """Groups what is discovered and tells it by the routes of `rules.yaml`.

    1. Read the next entries of the queue, and the groups whose time has come.
    2. Write groups, decisions, notifications and position in one transaction; if another process decided
       meanwhile, nothing is written: read the groups again, begin anew.
    3. Deliver from the outbox.

    What the console had told before there was a route is not told again; what comes from then on is told
    here, whichever of the two reads it first.
    """

    name = "notifications"

    def __init__(
        self,
        ledger: Ledger,
        settings: AlertSettings,
        outbox: Outbox,
        clock: Clock,
        *,
        pseudonym: Pseudonym | None,
        dashboards: str,
    ) -> None:
        self._ledger, self._book, self._settings, self._outbox = ledger, ledger.alerts(), settings, outbox
        self._clock, self._pseudonym, self._dashboards = clock, pseudonym, dashboards
        self._epoch, self._from = -1, ledger.queue_position(CONSOLE)
        self._silences: tuple[Silence, ...] = ()
        self._position = 0
        self._decider = Decider(settings, pseudonym, dashboards)
        self._looked_at = float("-inf")
        self._channels: dict[str, Channel] = {}
        self._decided: Counter[str] = Counter()
        self._trouble = ""

    def adopt(self, settings: AlertSettings, senders: Mapping[str, Sender]) -> None:
        """Follow another policy from the next step on, with a sender for each of its channels.

        Open groups go on under the route of the same name; those whose route is gone keep their channels'
        unsent messages and go on with the root's settings.
        """
        if self._settings.route is None:
            self._from = self._ledger.queue_position(CONSOLE)
        self._settings, self._epoch = settings, -1
        self._outbox.adopt(senders, settings.channels)

    def step(self) -> Progress:
        """Decide, then deliver."""
        try:
            now = self._clock.now().timestamp()
            handled = 0 if self._settings.route is None else self._decide(now)
            moved = self._outbox.step(self._clock.now().timestamp())
        except StoreBusyError as error:
            self._epoch, self._trouble = -1, str(error)
            return Progress(handled=0, finished=False, waiting=True)
        self._trouble = ""
        self._look(now, moved=bool(moved))
        under_way = len(self._outbox) > 0
        return Progress(handled=handled + moved, finished=not under_way, waiting=under_way)

    def health(self) -> Health:
        """Return how many groups are open, and what is in the outbox for each channel."""
        told = health_of(self.name, len(self._decider), self._channels, self._outbox.sent, self._looked_at)
        told = msgspec.structs.replace(told, labelled=told.labelled + decided(self._decided))
        if not self._trouble:
            return told
        return msgspec.structs.replace(told, state="degraded", sentence=f"{told.sentence}; {self._trouble}")

    def close(self) -> None:
        """Wait for what is being sent and record it."""
        self._outbox.close(self._clock.now().timestamp())

    def _decide(self, now: float) -> int:
        if self._book.epoch() != self._epoch:
            self._read_again()
        entries = self._ledger.discovered(self._position, BATCH)
        if entries:
            found = [(entry.number, msgspec.json.decode(entry.document, type=Anomaly)) for entry in entries]
            known = self._book.known([anomaly.anomaly_id for _, anomaly in found])
            ended = self._ended(
                name for _, each in found if amends(each) for name in known.get(each.anomaly_id, ())
            )
            step = self._decider.take(found, known=known, silences=self._silences, now=now, ended=ended)
            self._commit(msgspec.structs.replace(step, position=entries[-1].number))
            self._position = entries[-1].number
        told = self._decider.flush(now, self._silences)
        if told.groups or told.outgoing or told.routes:
            self._commit(told)
        return len(entries) + len(told.groups)

    def _ended(self, names: Iterable[str]) -> list[Group]:
        documents = (self._book.group(name) for name in dict.fromkeys(names))
        groups = (msgspec.json.decode(each, type=Group) for each in documents if each is not None)
        return [group for group in groups if not group.open]

    def _look(self, now: float, *, moved: bool) -> None:
        if moved or now >= self._looked_at + LOOK_SECONDS:
            self._channels, self._looked_at = self._book.channels(now - DEAD_SECONDS), now

    def _commit(self, step: Step) -> None:
        epoch, self._epoch = self._epoch, -1
        self._epoch = self._book.commit(CONSUMER, epoch, step)
        self._decided.update(decision.verdict for decision in step.decisions)

    def _read_again(self) -> None:
        _begin(self._ledger, self._from)
        epoch, documents = self._book.open_groups()
        self._silences = read_silences(self._book)
        groups = (msgspec.json.decode(document, type=Group) for document in documents)
        routes = [msgspec.json.decode(document, type=RouteState) for document in self._book.routes()]
        hid_last = hid_last_by(self._book, self._settings)
        self._decider = Decider(self._settings, self._pseudonym, self._dashboards, groups, routes, hid_last)
        self._position = self._ledger.queue_position(CONSUMER)
        self._epoch = epoch


def read_silences(book: AlertBook) -> tuple[Silence, ...]:
    """Return all silences of the ledger, pending ones and those that are over too."""
    return tuple(msgspec.json.decode(document, type=Silence) for document in book.silences())


def hid_last_by(book: AlertBook, settings: AlertSettings) -> dict[str, float]:
    """Return when each suppression hid something last, in seconds since 1970."""
    found = {each.name: book.suppressed(each.name)[1] for each in settings.suppressions}
    return {name: last for name, last in found.items() if last is not None}


def _begin(ledger: Ledger, number: int) -> None:
    """The first time, begin after what the console had told before there was a route."""
    if ledger.queue_position(BEGUN) == 0:
        ledger.advance(CONSUMER, number)
        ledger.advance(BEGUN, 1)
