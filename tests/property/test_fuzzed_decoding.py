"""Whatever a message is, a batch of messages becomes what its messages become one by one."""

from datetime import UTC, datetime, timedelta

import pytest
from fuzzed_messages import fuzzed, good_fields, spaced

from collector.batch import BLOCK, decode_batch
from collector.decode import Decoder
from collector.live import decode_live, decode_one_live, live_window
from collector.schema import Schema
from txwatch.columns import transaction
from txwatch.model import Rejected

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DECODERS = [Decoder(Schema()), Decoder(Schema(date_only=True, naive_times="utc", max_amount=400))]


def corpus(seed, count):
    """Spoiled messages, each among good ones: sometimes a block of one form around it, sometimes not."""
    odd = list(fuzzed(seed, count, NOW, huge=1 if seed == 1 else 0))
    good = [spaced(None, good_fields(number, NOW)) for number in range(BLOCK)]
    return [*odd, *good, *odd[: count // 8], *good, *odd[count // 2 : count // 2 + 1], *good[:-1]]


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_batch_is_read_as_its_messages_are_one_by_one(seed, decoder):
    """The same transactions, the same reasons, in the same places."""
    messages = corpus(seed, 1_500)
    read = decode_batch(messages, decoder)

    rows = read.rows.rows(named=True)
    taken = {row.pop("row"): transaction(row) for row in rows}
    refused = dict(read.rejected)
    assert sorted([*taken, *refused]) == list(range(len(messages)))
    for place, message in enumerate(messages):
        alone = decoder.decode(message)
        assert (refused if isinstance(alone, Rejected) else taken)[place] == alone, message[:300]


@pytest.mark.parametrize("seed", [4, 5])
def test_live_messages_are_read_as_one_by_one(seed):
    """Those of a time that cannot be live are refused as well, in their places."""
    messages, window = corpus(seed, 800), live_window(NOW, timedelta(days=30))
    read = decode_live(messages, DECODERS[0], window)

    rows = read.rows.rows(named=True)
    became = {row.pop("row"): transaction(row) for row in rows} | dict(read.rejected)
    assert [became[place] for place in range(len(messages))] == [
        decode_one_live(message, DECODERS[0], window) for message in messages
    ]
