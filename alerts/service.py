"""The notifier: from the queue of discovered anomalies to the channels."""

from collections.abc import Callable, Sequence

import msgspec

from alerts.channels import Channel
from alerts.policy import AlertSettings, decide
from alerts.suppressions import suppressing
from txwatch.errors import StoreBusyError
from txwatch.model import Anomaly
from txwatch.ports import Discovery, DiscoveryQueue, Health, Progress

CONSUMER = "alerts"
BATCH = 100


class NotifierService:
    """Tells the channels what the policy lets through.

    1. Read the next entries of the queue, in order of discovery (late anomalies included).
    2. Send each that the policy lets through to every channel.
    3. Only then record the number: a crash before 3 sends again what a channel cannot recognise.
    """

    name = "alerts"

    def __init__(
        self,
        queue: DiscoveryQueue,
        channels: Sequence[Channel],
        settings: AlertSettings,
        silenced: Callable[[], Callable[[Anomaly], bool]] = lambda: lambda _: False,
    ) -> None:
        """`silenced` reads the silences of this moment; what it returns tells what they hide."""
        self._queue = queue
        self._silenced = silenced
        self._channels = channels
        self._settings = settings
        self._position = queue.queue_position(CONSUMER)
        self._sent = 0
        self._held: dict[str, int] = {}

    def adopt(self, settings: AlertSettings) -> None:
        """Follow another policy from the next step on."""
        self._settings = settings

    def step(self) -> Progress:
        """Handle the next entries of the queue; while the ledger is busy there are none."""
        try:
            return self._handle_next()
        except StoreBusyError:
            return Progress(handled=0, finished=False)

    def health(self) -> Health:
        """Return how many notifications were sent and held back."""
        held = sum(self._held.values())
        return Health(
            name=self.name,
            state="ok",
            sentence=f"{self._sent} sent, {held} below the alert policy",
            figures={"sent_total": self._sent, "held_total": held},
        )

    def close(self) -> None:
        """Close the channels."""
        for channel in self._channels:
            channel.close()

    def _handle_next(self) -> Progress:
        entries = self._queue.discovered(self._position, BATCH)
        if entries:
            silenced = self._silenced()
            for entry in entries:
                self._handle(entry, silenced)
            self._position = entries[-1].number
            self._queue.advance(CONSUMER, self._position)
        return Progress(handled=len(entries), finished=True)

    def _handle(self, entry: Discovery, silenced: Callable[[Anomaly], bool]) -> None:
        anomaly = msgspec.json.decode(entry.document, type=Anomaly)
        decision = decide(_as_told(anomaly), self._settings)
        listed = self._settings.suppressions
        hidden = suppressing(anomaly, listed, anomaly.detected_at, None) is not None or silenced(anomaly)
        if not decision.notify or hidden:
            self._held[decision.reason] = self._held.get(decision.reason, 0) + 1
            return
        for channel in self._channels:
            channel.send(entry.number, anomaly)
        self._sent += 1


def _as_told(anomaly: Anomaly) -> Anomaly:
    """Return an anomaly as grave as it was before it was graded down: who was told then is told now."""
    worst = max(anomaly.severity, anomaly.before or anomaly.severity)
    return msgspec.structs.replace(anomaly, severity=worst)
