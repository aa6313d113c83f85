"""What InfluxDB makes hard, on the real server: rights, refusals, lost answers, hangs, kills, takeovers."""

import random
import re
import threading
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from flaky_proxy import LOST, in_front_of

from txwatch.clock import SystemClock
from txwatch.columns import POSITION, TRANSACTION
from txwatch.errors import RowsRefusedError, StoreBusyError, StoreError
from txwatch.model import Cursor, Partition
from txwatch.ports import RetentionPolicy, SeriesQuery, TrafficQuery, TransactionQuery
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.lines import transaction_lines
from txwatch.stores.influx.packed import feed_lines, pack

KEY = ("source", "partition", "arrival", "sequence")
COLUMNS = {**POSITION, **TRANSACTION}
DAY = datetime(2026, 3, 1, tzinfo=UTC)


def rows(sequences, *, source="orders", partition=0, **values):
    """Transactions of one partition; the same sequence is always the same transaction."""
    return pl.DataFrame(
        [
            {
                "source": source,
                "partition": partition,
                "sequence": sequence,
                "transaction_id": f"{source}-{partition}-{sequence}",
                "timestamp": DAY,
                "user_id": f"user-{sequence % 100}",
                "merchant_id": "shop",
                "amount": sequence / 4,
                "currency": "EUR",
                "status": "approved",
                **values,
            }
            for sequence in sequences
        ],
        schema=COLUMNS,
    )


def read_all(store, limit=10_000):
    """Read the feed to its end as a detector does, from cursor to cursor."""
    cursors, pages = {}, []
    while not (page := store.feed(cursors, limit)).is_empty():
        pages.append(page)
        cursors |= {Partition(s, p): Cursor(a, n) for s, p, a, n in page.select(*KEY).rows()}
    return pl.concat(pages) if pages else pl.DataFrame()


def stored_once(store, expected):
    """Each expected transaction is one point, is in the feed once, and nothing else is."""
    ids = sorted(expected["transaction_id"])
    return (
        sorted(read_all(store)["transaction_id"])
        == ids
        == sorted(store.transactions(TransactionQuery())["transaction_id"])
    )


class SteppingClock(SystemClock):
    """The machine's clock, moved by hand."""

    moved = timedelta(0)

    def now(self):
        return super().now() + self.moved


def test_setting_up_twice_changes_nothing(influx_stores):
    """The second time finds every bucket and token as it is."""
    first = influx_stores.initialise()
    tokens = influx_stores.tokens
    second = influx_stores.initialise()

    assert len(first) > 10
    assert second == ()
    assert influx_stores.tokens == tokens


def test_another_retention_is_set(influx_stores):
    """What differs is brought up to date, and nothing else."""
    influx_stores.initialise(RetentionPolicy())

    assert influx_stores.initialise(RetentionPolicy(feed=timedelta(days=3))) == ("bucket feed keeps 3 days",)


def test_a_token_reads_its_buckets_and_no_others(influx_stores):
    """An operator's token neither reads transactions nor raw ids, nor writes anything."""
    influx_stores.initialise()
    connection = Connection(influx_stores.access("operator"), SystemClock())

    assert connection.results("anomalies", "SELECT score FROM anomalies") == [{"statement_id": 0}]
    for bucket in ("transactions", "feed", "cases", "audit", "quarantine"):
        with pytest.raises(StoreError, match=f"cannot answer from bucket {bucket}"):
            connection.results(bucket, "SELECT record FROM anomalies")
    with pytest.raises(StoreError, match="refuses"):
        connection.write("anomalies", b"anomalies score=1 1")
    connection.close()


def test_a_store_without_its_buckets_does_not_start(influx_stores):
    """A missing bucket or right is said at the start, not read as an empty one."""
    influx_stores.initialise()

    with pytest.raises(StoreError, match="transactions, feed, cases, quarantine are missing"):
        influx_stores.open(role="operator")


def test_a_wrong_token_is_refused_at_once(influx_stores):
    """No patience is spent on what will never pass."""
    influx_stores.initialise()

    with pytest.raises(StoreError, match="Unauthorized") as error:
        influx_stores.open(token="wrong")
    assert not error.value.retryable


def test_no_server_is_a_retryable_error(influx_stores):
    """Where nobody listens, the call gives up after its patience and may be repeated."""
    with pytest.raises(StoreBusyError, match="does not answer"):
        influx_stores.open(url="http://127.0.0.1:9", patience=timedelta(seconds=0.5))


def test_awkward_texts_come_back_as_they_were(influx_stores):
    """Quotes, separators, line breaks, controls and other scripts survive both buckets."""
    store = influx_stores.open()
    awkward = [
        'say "hi"',
        "a,b=c d",
        "back\\slash\\",
        "line\nbreak",
        "tab\tnul\x00unit\x1f",
        "100%2C%",
        "žluťoučký 😀",
        " lead",
        "\r\n",
    ]
    frame = pl.concat(
        rows([number], source=f"s {text}", user_id=text, transaction_id=text, extra=text, channel=text)
        for number, text in enumerate(awkward)
    )
    store.append(frame)
    columns = list(COLUMNS)

    assert store.feed({}, 100).sort("sequence").select(columns).equals(frame)
    assert store.transactions(TransactionQuery()).sort("sequence").select(columns).equals(frame)
    for text in awkward:
        assert store.transactions(TransactionQuery(user_id=text))["transaction_id"].to_list() == [text]


@pytest.mark.parametrize("missing", ["amount", "sequence", "arrival", "currency", "status"])
def test_a_transaction_that_is_half_written_is_not_there_yet(influx_stores, missing):
    """InfluxDB shows a reader the fields of a point while it is taking in the others."""
    store = influx_stores.open()
    frame = rows(range(2)).with_columns(arrival=pl.col("sequence"))
    whole, other = transaction_lines(frame)
    half = re.sub(rf"(?<=[ ,]){missing}=[^, ]+,?", "", other)
    connection = Connection(influx_stores.access(), SystemClock())
    connection.write("transactions", f"{whole}\n{half}".replace(", ", " ").encode())
    connection.close()

    assert missing not in half
    assert store.transactions(TransactionQuery())["transaction_id"].to_list() == ["orders-0-0"]


def test_a_window_that_is_half_written_is_not_there_yet(influx_stores):
    """Neither of series nor of traffic."""
    store = influx_stores.open()
    connection = Connection(influx_stores.access(), SystemClock())
    connection.write("metrics", b"series,series=count/all value=3.0 1000000000")
    tags = "dimension=all,partition=0,seconds=60,source=orders,value=%"
    connection.write("traffic_1m", f"traffic,{tags} through=3i,p50=1.0 {time.time_ns()}".encode())
    connection.close()

    assert store.series(SeriesQuery()) == []
    assert store.traffic(TrafficQuery()) == []


def test_rows_that_are_refused_are_named_and_the_others_stored(influx_stores):
    """A time beyond the retention, a number that is none, a huge text: each is named, others stay."""
    influx_stores.initialise(RetentionPolicy())
    store = influx_stores.open()
    now = datetime.now(UTC)
    frame = pl.concat(
        [
            rows(range(10), timestamp=now),
            rows([10], timestamp=now - timedelta(days=31)),
            rows([11], timestamp=now, amount=float("nan")),
            rows([12], timestamp=now, extra="x" * 1_100_000),
            rows(range(13, 20), timestamp=now),
        ]
    )
    for _ in range(2):
        with pytest.raises(RowsRefusedError) as error:
            store.append(frame)
        assert sorted(each.sequence for each in error.value.refused) == [10, 11, 12]

    assert stored_once(store, frame.filter(~pl.col("sequence").is_in([10, 11, 12])))


def test_a_redelivery_is_fed_once(influx_stores):
    """Rows again, by the same process or the one that took over, are one point and one feed row."""
    store = influx_stores.open()
    store.append(rows(range(100)))
    store.append(rows(range(50, 150)))
    successor = influx_stores.open()
    successor.append(rows(range(120, 200)))

    assert stored_once(successor, rows(range(200)))
    assert read_all(successor)["sequence"].to_list() == list(range(200))


def test_arrivals_grow_when_the_clock_steps_back(influx_stores):
    """An hour back, in the same process or in its successor, changes no order."""
    clock = SteppingClock()
    store = influx_stores.open(clock=clock)
    store.append(rows(range(10)))
    clock.moved = timedelta(hours=-1)
    store.append(rows(range(10, 20)))
    influx_stores.open(clock=clock).append(rows(range(20, 30)))
    feed = store.feed({}, 100)

    assert feed["sequence"].to_list() == list(range(30))
    assert feed["arrival"].is_sorted()
    assert feed["arrival"].n_unique() == 30


def test_messages_of_one_instant_stay_apart(influx_stores):
    """Sequences that share their nanoseconds are told apart, in one topic and in two, at one time."""
    store = influx_stores.open()
    laps = [5, 1_000_005, 2_000_005, 63_000_005]
    frame = pl.concat(
        [
            rows(laps),
            rows(laps, source="refunds"),
            rows(laps, partition=1),
            rows(range(63_000_006, 63_020_000)),
        ]
    )
    store.append(frame)

    assert stored_once(store, frame)


@pytest.mark.parametrize("limit", [1, 7, 50, 10_000])
def test_every_page_size_reads_every_row_once(influx_stores, limit):
    """Several partitions of different lengths, read in pages of any size, give each row once and in order."""
    store = influx_stores.open()
    lengths = {0: 60, 1: 3, 2: 25}
    for start in range(0, 60, 10):
        for partition, length in lengths.items():
            part = rows(range(start, min(start + 10, length)), partition=partition)
            store.append(part)
    feed = read_all(store, limit)

    assert feed.height == sum(lengths.values())
    for partition, length in lengths.items():
        assert feed.filter(pl.col("partition") == partition)["sequence"].to_list() == list(range(length))


@pytest.mark.parametrize("limit", [7, 100, 10_000])
def test_a_reader_misses_nothing_of_writers_whose_clocks_are_behind(influx_stores, limit):
    """Partitions far behind, idle or new while the reader is at it, sequences with gaps, three clocks."""
    writers = []
    for behind in (timedelta(0), timedelta(seconds=3), timedelta(hours=2)):
        clock = SteppingClock()
        clock.moved = -behind
        writers.append(influx_stores.open(clock))
    luck, cursors, seen, written = random.Random(limit), {}, [], {}

    def read():
        page = writers[0].feed(cursors, limit)
        seen.extend(page.select(*KEY).rows())
        cursors.update({Partition(s, p): Cursor(a, n) for s, p, a, n in page.select(*KEY).rows()})
        return page.height

    for _ in range(15):
        for _ in range(6):
            place = luck.choice(["orders", "a b,c=d", "o'r"]), luck.randrange(12)
            known = written.setdefault(place, [])
            first = (known[-1] if known else luck.choice([-1, 50])) + luck.choice([1, 1, 4])
            known += range(first, first + 5)
            source, partition = place
            writers[partition % 3].append(rows(known[-5:], source=source, partition=partition))
        read()
    while read():
        pass

    assert {place: [n for s, p, _, n in seen if (s, p) == place] for place in written} == written


def test_a_page_of_nothing_but_redeliveries_does_not_stop_the_reader(influx_stores):
    """Rows written twice fill whole pages; the reader passes them and finds what is behind."""
    store = influx_stores.open()
    store.append(rows(range(30)))
    connection = Connection(influx_stores.access(), SystemClock())
    again = store.feed({}, 30).with_columns(pl.col("arrival") + 10**9)
    connection.write("feed", "\n".join(feed_lines(again, pack(again))).encode())
    connection.close()
    influx_stores.open().append(rows(range(30, 40)))

    assert read_all(store, 5)["sequence"].to_list() == list(range(40))


@pytest.mark.parametrize("faults", [[503, 429, 503], [LOST, 500, LOST], [504] * 5])
def test_passing_trouble_is_waited_out(influx_stores, faults):
    """Busy answers and lost answers are retried; everything is stored, nothing twice."""
    influx_stores.initialise()
    with in_front_of(influx_stores.server.url) as proxy:
        store = influx_stores.open(url=proxy.url)
        proxy.faults.extend(faults)
        store.append(rows(range(500)))

        assert not proxy.faults
        assert stored_once(store, rows(range(500)))


def test_an_append_that_gave_up_may_be_repeated(influx_stores):
    """After StoreBusyError the same rows, and more, are appended without loss or doubles."""
    influx_stores.initialise()
    with in_front_of(influx_stores.server.url) as proxy:
        store = influx_stores.open(url=proxy.url, patience=timedelta(seconds=0.3))
        store.append(rows(range(10)))
        proxy.faults.extend([LOST, LOST, *[503] * 200])
        with pytest.raises(StoreBusyError):
            store.append(rows(range(10, 20)))
        proxy.faults.clear()
        store.append(rows(range(10, 30)))

        assert stored_once(store, rows(range(30)))


def test_a_server_that_hangs_is_waited_for(influx_stores):
    """Writes without an answer are repeated; when the server goes on, everything is there once."""
    store = influx_stores.open(answer_within=timedelta(seconds=0.3))
    server = influx_stores.server
    store.append(rows(range(10)))
    server.pause()
    threading.Timer(1.5, server.resume).start()
    store.append(rows(range(10, 5_000)))

    assert stored_once(store, rows(range(5_000)))


def test_a_killed_server_loses_nothing_acknowledged(influx_stores):
    """SIGKILL under load, several times: the writer carries on, every row is there once."""
    store = influx_stores.open()
    server = influx_stores.server
    chance = random.Random(7)

    def trouble():
        for _ in range(3):
            time.sleep(chance.uniform(0.2, 0.6))
            server.kill()
            server.start()

    thread = threading.Thread(target=trouble)
    thread.start()
    written = 0
    while thread.is_alive() or written < 20_000:
        store.append(rows(range(written, written + 1_000)))
        written += 1_000
    thread.join()

    assert stored_once(store, rows(range(written)))


def test_a_reader_under_kills_misses_nothing_and_sees_nothing_twice(influx_stores):
    """While the server is killed again and again, a polling reader gets each row of each partition once."""
    store, reader = influx_stores.open(), influx_stores.open()
    server, chance = influx_stores.server, random.Random(11)
    seen, cursors, written = {0: [], 1: []}, {}, threading.Event()

    def read():
        while True:
            last_round = written.is_set()
            page = reader.feed(cursors, 700)
            for source, partition, arrival, sequence in page.select(*KEY).rows():
                seen[partition].append(sequence)
                cursors[Partition(source, partition)] = Cursor(arrival, sequence)
            if last_round and page.is_empty():
                return
            time.sleep(0.02)

    def kill():
        server.kill()
        server.start()

    kills = [threading.Timer(chance.uniform(0, 0.2), kill) for _ in range(5)]
    thread = threading.Thread(target=read)
    thread.start()
    for batch in range(60):
        if batch % 12 == 6:
            kills[batch // 12].start()
        numbers = range(batch * 300, batch * 300 + 300)
        store.append(pl.concat([rows(numbers), rows(numbers, partition=1)]))
        time.sleep(0.03)
    written.set()
    for each in [*kills, thread]:
        each.join()

    assert seen == {0: list(range(18_000)), 1: list(range(18_000))}


def test_expiry_deletes_what_is_older_and_says_how_much(influx_stores):
    """Transactions before the limit go; the others stay."""
    store = influx_stores.open()
    now = DAY + timedelta(days=10)
    store.append(pl.concat([rows(range(5), timestamp=DAY), rows(range(5, 12), timestamp=now)]))

    gone = store.expire(RetentionPolicy(transactions=timedelta(days=5)), now)

    assert gone["transactions"] == 5
    assert store.counts()["transactions"] == 7
