"""Canaries are known by their key alone, make an anomaly of their own, and are shown to nothing else."""

from datetime import UTC, datetime

import polars as pl
import pytest
from alert_builders import HIDING, found

from alerts.deciding import Decider
from alerts.policy import AlertSettings, ChannelSettings, decide
from alerts.routes import Route
from txwatch.canary import MERCHANT, Canaries, anomalies_of, canaries_of, without
from txwatch.columns import FEED
from txwatch.errors import ConfigurationError
from txwatch.model import Mode

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
OURS = Canaries(b"k" * 32)
CHANNELS = {"ops": ChannelSettings(kind="slack", to=("#fraud",))}


def rows(*pairs):
    feed = [
        {"source": "s", "partition": 0, "sequence": n, "arrival": 10**18 + n, "timestamp": NOON}
        | {"transaction_id": name, "merchant_id": merchant, "user_id": "u", "amount": 1.0, "currency": "EUR"}
        | {"status": "approved"}
        for n, (name, merchant) in enumerate(pairs)
    ]
    return pl.DataFrame(feed, schema=FEED)


def canary(at=NOON, canaries=OURS):
    return canaries.transaction(at, "EUR")["transaction_id"]


def test_only_who_has_the_key_makes_one():
    """Neither the merchant nor a similar id is enough: such transactions are scored as all others."""
    good = canary()
    strange = canary(canaries=Canaries(b"x" * 32))
    table = rows(
        (good, MERCHANT),
        (strange, MERCHANT),
        (good, "m1"),
        ("t1", MERCHANT),
        ("t2", "m2"),
        (good[:-1], MERCHANT),
    )

    assert OURS.among(table).to_list() == [True, False, False, False, False, False]
    assert without(table, OURS)["sequence"].to_list() == [1, 2, 3, 4, 5]
    assert without(table, None).height == 6


def test_its_anomaly_has_a_mode_of_its_own():
    """By which every figure leaves it out."""
    (anomaly,) = anomalies_of(rows((canary(), MERCHANT)), NOON)

    assert anomaly.mode is Mode.CANARY
    assert anomaly.transaction_id == canary()


def test_it_takes_its_own_way_alone():
    """Each is told once, on the channels of `alerts.canary`; without any, nobody is told."""
    route = Route(channels=(), group_wait="0s")
    settings = AlertSettings(channels=CHANNELS, route=route, canary=("ops",))
    (anomaly,) = anomalies_of(rows((canary(), MERCHANT)), NOON)
    decider = Decider(settings, HIDING, "")
    step = decider.take([(1, anomaly), (2, found("a1"))], known={}, silences=(), now=1e9)
    told = decider.flush(1e9)

    assert [each.reason for each in step.decisions] == [
        "route canary, channels ops",
        "route default, channels none",
    ]
    assert [each.channel for each in told.outgoing] == ["ops"]
    assert len(decider) == 1
    assert decider.flush(2e9).outgoing == []
    assert not decide(anomaly, settings).notify


def test_a_short_key_is_refused():
    with pytest.raises(ConfigurationError, match="64 hexadecimal"):
        canaries_of({"TXWATCH_CANARY_KEY": "abc"})
    assert canaries_of({}) is None
