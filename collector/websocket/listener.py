"""Listening as a source: producers push frames, and each is acknowledged after its messages are stored."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from collector.decode import Decoder
from collector.live import decoding
from collector.schema import Schema
from collector.source import Collected
from collector.websocket.frames import digest_of
from collector.websocket.journal import Entry, Journal
from collector.websocket.numbered import NO_ROWS, decoded
from collector.websocket.server import Answer, ListeningServer, Pushed, acknowledgement, refusal
from txwatch.model import Partition

Positions = Callable[[str], Mapping[Partition, int]]
Key = tuple[str, str]


class ListeningSource:
    """Takes frames that producers push; what was acknowledged is stored or in quarantine.

    A frame goes into the journal, then into the store, and only then is its producer told.  A producer
    that hears nothing (the connection broke, the collector died) sends the frame again under the same id,
    to the same collector: it is stored once, as long as its id is among the newest `remembered` frames.
    Ids belong to a producer's token; the same id with other messages is refused.  What a producer does
    not send again is lost; a journal that is deleted forgets the ids, never the numbers.
    """

    def __init__(
        self,
        server: ListeningServer,
        journal: Journal,
        source: str,
        schema: Schema,
        *,
        positions: Positions,
        now: Callable[[], datetime],
        keep: timedelta | None = None,
    ) -> None:
        """Go on behind the last number that the journal or the ledger knows.

        `keep` is how far back an event time may lie; None is any time at all.
        """
        self._keep = keep
        self._server, self._journal, self._decoder, self._now = server, journal, Decoder(schema), now
        self._partition = Partition(source, 0)
        known = positions(source).get(self._partition, 0)
        self._left = journal.unsettled()
        self._following = max(known, journal.following())
        self._flying: dict[Key, Entry] = {}
        self._waiting: dict[Key, list[tuple[Answer, bool]]] = {}
        self._taken = 0
        self._counts = dict.fromkeys(("frames_total", "repeated_total", "refused_frames_total"), 0)

    def read(self, limit: int) -> Collected:
        """Return the messages of the frames that wait, first those that a crash left in doubt."""
        entries, self._left = self._left, []
        if not entries:
            entries = self._new_entries(limit)
        if not entries:
            self._release()
            return Collected(rows=NO_ROWS)
        self._flying = {(entry.producer, entry.id): entry for entry in entries}
        numbered = [pair for entry in entries for pair in enumerate(entry.messages or (), start=entry.first)]
        now = self._now()
        decode = decoding(self._decoder, self._keep, now)
        rows, rejected = decoded(self._partition, numbered, decode, now)
        return Collected(rows=rows, rejected=rejected, positions={self._partition: entries[-1].following})

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Settle the frames in the journal and acknowledge them."""
        self._journal.settle(positions[self._partition])
        for key, answers in self._waiting.items():
            for answer, repeated in answers:
                answer(acknowledgement(key[1], self._flying[key].count, repeated=repeated))
        self._counts["frames_total"] += len(self._flying)
        self._flying, self._waiting = {}, {}
        self._release()

    def close(self) -> None:
        """Stop listening; frames that were not acknowledged are sent again by their producers."""
        self._server.close()
        self._journal.close()

    @property
    def trouble(self) -> str:
        """Why nothing comes: a listener waits, it has no trouble."""
        return ""

    def figures(self) -> dict[str, float]:
        """Return what becomes metrics: producers connected, frames taken, repeated and refused."""
        figures = {name: float(count) for name, count in self._counts.items()}
        refused = float(self._server.refused)
        return figures | {"producers": float(self._server.connected), "refused_connections_total": refused}

    def _new_entries(self, limit: int) -> list[Entry]:
        """Number the new frames among those that wait, and enter them into the journal."""
        fresh: dict[Key, Entry] = {}
        following, messages = self._following, 0
        while messages < limit and (pushed := self._server.take()) is not None:
            self._taken += 1
            entry = self._judge(pushed, fresh, following)
            if entry is not None:
                fresh[pushed.producer, entry.id] = entry
                following = entry.following
                messages += entry.count
        if fresh:
            self._journal.enter(list(fresh.values()))
            self._following = following
        return list(fresh.values())

    def _judge(self, pushed: Pushed, fresh: Mapping[Key, Entry], first: int) -> Entry | None:
        """Return the entry of a new frame; answer, now or after the write, one that is known."""
        messages = [bytes(message) for message in pushed.envelope.messages]
        key, digest = (pushed.producer, pushed.envelope.id), digest_of(messages)
        known = fresh.get(key) or self._journal.find(*key)
        if known is not None and known.digest != digest:
            self._counts["refused_frames_total"] += 1
            pushed.answer(refusal(key[1], "this id was used for other messages"))
        elif known is not None and known.messages is None:
            self._counts["repeated_total"] += 1
            pushed.answer(acknowledgement(key[1], known.count, repeated=True))
        else:
            self._waiting.setdefault(key, []).append((pushed.answer, known is not None))
        if known is not None:
            return None
        return Entry(
            first=first, count=len(messages), producer=key[0], id=key[1], digest=digest, messages=messages
        )

    def _release(self) -> None:
        if self._taken:
            self._server.release(self._taken)
        self._taken = 0
