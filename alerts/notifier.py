"""The notifier: queue of discoveries -> groups -> outbox -> channels."""

import msgspec

from alerts.deciding import Decider
from alerts.groups import Group
from alerts.outbox import Outbox
from alerts.policy import AlertSettings
from alerts.service import CONSUMER as CONSOLE
from alerts.silences import Silence
from txwatch.errors import StoreBusyError
from txwatch.ledger import AlertBook, Ledger, Step
from txwatch.masking import Pseudonym
from txwatch.model import Anomaly
from txwatch.ports import Clock, Health, Progress

CONSUMER = "notifications"
BEGUN = "notifications/begun"
BATCH = 500


class RoutedNotifier:
    """Groups what is discovered and tells it by the routes of `rules.yaml`.

    1. Read the next entries of the queue, and the groups whose time has come.
    2. Write groups, decisions, notifications and position in one transaction; if another process decided
       meanwhile, nothing is written: read the groups again, begin anew.
    3. Deliver from the outbox.

    What was discovered before it ran for the first time, and told on the console, is not told again.
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
        self._epoch = -1
        self._silences: tuple[Silence, ...] = ()
        self._position = _first_position(ledger)
        self._decider = Decider(settings, pseudonym, dashboards)
        self._counts: dict[str, int] = {}

    def step(self) -> Progress:
        """Decide, then deliver."""
        try:
            handled = self._decide(self._clock.now().timestamp())
            moved = self._outbox.step(self._clock.now().timestamp())
        except StoreBusyError:
            self._epoch = -1
            return Progress(handled=1, finished=False)
        if moved:
            self._counts = self._book.outbox_counts()
        under_way = len(self._outbox) > 0
        return Progress(handled=handled + moved, finished=not under_way, waiting=under_way)

    def health(self) -> Health:
        """Return how many groups are open, and how full the outbox is."""
        dead, waiting = self._counts.get("dead", 0), self._counts.get("waiting", 0)
        sent = self._counts.get("sent", 0)
        return Health(
            name=self.name,
            state="degraded" if dead or waiting > BATCH else "ok",
            sentence=f"{len(self._decider)} groups open, {sent} sent, {waiting} waiting, {dead} dead",
            figures={"groups": len(self._decider), "waiting": waiting, "dead": dead, "sent_total": sent},
        )

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
            step = self._decider.take(found, known=known, silences=self._silences, now=now)
            self._commit(msgspec.structs.replace(step, position=entries[-1].number))
            self._position = entries[-1].number
        told = self._decider.flush(now)
        if told.groups:
            self._commit(told)
        return len(entries) + len(told.groups)

    def _commit(self, step: Step) -> None:
        epoch, self._epoch = self._epoch, -1
        self._epoch = self._book.commit(CONSUMER, epoch, step)

    def _read_again(self) -> None:
        epoch, documents = self._book.open_groups()
        self._silences = read_silences(self._book)
        groups = (msgspec.json.decode(document, type=Group) for document in documents)
        self._decider = Decider(self._settings, self._pseudonym, self._dashboards, groups)
        self._position = self._ledger.queue_position(CONSUMER)
        self._epoch = epoch


def read_silences(book: AlertBook) -> tuple[Silence, ...]:
    """Return all silences of the ledger, pending ones and those that are over too."""
    return tuple(msgspec.json.decode(document, type=Silence) for document in book.silences())


def _first_position(ledger: Ledger) -> int:
    if ledger.queue_position(BEGUN) == 0:
        ledger.advance(CONSUMER, ledger.queue_position(CONSOLE))
        ledger.advance(BEGUN, 1)
    return ledger.queue_position(CONSUMER)
