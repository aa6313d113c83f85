"""From the outbox to the channels, in threads of their own, so that a slow channel holds up no other.

1. Claim what is due; the claim is in the ledger before anything is sent.
2. Send, each notification in a thread.
3. Record what became of it: sent, to be tried again later, or dead, and then its fallback is written with it.

A crash between 2 and 3 leaves a claim that runs out: it is sent again, and counted as unanswered.
"""

import random
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from alerts.links import Links
from alerts.notice import Notice
from alerts.policy import ChannelSettings
from alerts.sending import Delivered, Failed, Sender
from txwatch.ledger import AlertBook, Outgoing

SENDERS = 4
"""Notifications that are sent at once to a channel."""
THREADS = 128
CLAIM_SECONDS = 60.0
"""Longer than any channel's time limit."""
FIRST_WAIT = 2.0
LONGEST_WAIT = 600.0
ATTEMPTS = 12
"""With waits that double up to ten minutes this is about an hour."""
LONGEST_REST = 3600.0
"""For so long a channel may ask to wait: that counts as no attempt before."""


class Outbox:
    """Delivers; `step` never blocks.  Only `step` and `close` touch the ledger, both from one thread."""

    def __init__(
        self,
        book: AlertBook,
        senders: Mapping[str, Sender],
        channels: Mapping[str, ChannelSettings],
        chance: random.Random,
        links: Links | None = None,
    ) -> None:
        self._book, self._senders, self._channels, self._chance = book, senders, channels, chance
        self._links = links
        self.sent = 0
        """How many were sent by this process."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="alerts")
        self._flying: dict[Future[Delivered | Failed], Outgoing] = {}
        self._resting: dict[str, float] = {}
        """Until when each channel asked to be left alone."""

    def __len__(self) -> int:
        """Return how many notifications are being sent right now."""
        return len(self._flying)

    def adopt(self, senders: Mapping[str, Sender], channels: Mapping[str, ChannelSettings]) -> None:
        """Deliver by other channels from the next step on; what is under way ends by the old ones."""
        self._senders, self._channels = senders, channels

    def step(self, now: float) -> int:
        """Record what was answered, start what is due; returns how many notifications moved."""
        moved = self._record(now)
        return moved + sum(self._start(channel, now) for channel in self._book.channels_due(now))

    def close(self, now: float) -> None:
        """Wait for what is being sent, and record it."""
        self._threads.shutdown(wait=True)
        self._record(now)

    def _start(self, channel: str, now: float) -> int:
        """Send what is due to a channel, as much at once as it may have; returns how many that is."""
        if now < self._resting.get(channel, now):
            return 0
        its_own = sum(each.channel == channel for each in self._flying.values())
        free = min(SENDERS - its_own, THREADS - len(self._flying))
        claimed = self._book.claim(channel, now, now + CLAIM_SECONDS, free) if free > 0 else []
        for each in claimed:
            self._flying[self._threads.submit(self._send, each, self._reference(each))] = each
        return len(claimed)

    def _record(self, now: float) -> int:
        done = [future for future in self._flying if future.done()]
        for future in done:
            self._settle(self._flying[future], future.result(), now)
            del self._flying[future]
        return len(done)

    def _settle(self, each: Outgoing, result: Delivered | Failed, now: float) -> None:
        """Write what became of a notification; while the ledger is busy it stays among those under way."""
        if isinstance(result, Failed):
            return self._failed(each, result, now)
        changes = {"state": "sent", "sent_at": now, "reference": result.reference}
        self._book.settle(each.number, {**changes, "answer": _printable(result.answer)})
        self.sent += 1
        return None

    def _failed(self, each: Outgoing, failed: Failed, now: float) -> None:
        changes = {
            "answer": _printable(failed.sentence),
            "unanswered": each.unanswered + int(failed.unanswered),
        }
        attempts = each.attempts
        if failed.wait is not None:
            self._resting[each.channel] = max(self._resting.get(each.channel, now), now + failed.wait)
            attempts -= int(now < each.written_at + LONGEST_REST)
        if failed.retryable and attempts < ATTEMPTS:
            wait = failed.wait if failed.wait is not None else backoff(each.attempts, self._chance)
            self._book.settle(
                each.number, {**changes, "state": "waiting", "attempts": attempts, "due_at": now + wait}
            )
        else:
            self._book.settle(
                each.number, {**changes, "state": "dead", "due_at": now}, self._instead(each, failed, now)
            )

    def _instead(self, each: Outgoing, failed: Failed, now: float) -> list[Outgoing]:
        channel = self._channels.get(each.channel)
        tried = {each.key.partition("~")[0].rpartition(".")[2], *each.key.split("~")[1:]}
        if channel is None or not channel.fallback or channel.fallback in tried:
            return []
        notice = msgspec.json.decode(each.document, type=Notice)
        why = f"{notice.why}; here because {each.channel} failed: {failed.sentence}"
        document = msgspec.json.encode(msgspec.structs.replace(notice, why=why))
        key = f"{each.key}~{channel.fallback}"
        return [
            Outgoing(
                key=key,
                group_id=each.group_id,
                channel=channel.fallback,
                document=document,
                due_at=now,
                written_at=each.written_at,
                urgent=each.urgent,
            )
        ]

    def _reference(self, each: Outgoing) -> str:
        return self._book.reference(each.group_id, each.channel)

    def _send(self, each: Outgoing, reference: str) -> Delivered | Failed:
        sender = self._senders.get(each.channel)
        if sender is None:
            return Failed(sentence=f"there is no channel {each.channel} any more", retryable=False)
        notice = msgspec.json.decode(each.document, type=Notice)
        if self._links is not None:
            notice = self._links.within(notice, self._recipient(each.channel))
        return sender.send(notice, each.key, reference)

    def _recipient(self, channel: str) -> str:
        described = self._channels.get(channel)
        return channel if described is None else ", ".join(described.to) or channel


def _printable(answer: str) -> str:
    """Return what a channel said without characters that a database may refuse."""
    return "".join(each if each.isprintable() else " " for each in answer)


def backoff(attempts: int, chance: random.Random) -> float:
    """Return how long to wait after so many attempts, in seconds: doubling, bounded, with jitter."""
    longest = min(FIRST_WAIT * 2.0 ** (attempts - 1), LONGEST_WAIT)
    return longest * chance.uniform(0.5, 1.0)
