"""What rules read is what the list says."""

import polars as pl
import pytest

from detectors.features import FeatureState
from detectors.ordinary import complete, stream
from detectors.publish import published as published_values
from detectors.published import BUILT_INS, PUBLISHED, unknown_columns
from detectors.rows import RowsBuilder
from detectors.settings import DetectionSettings
from txwatch.columns import TRANSACTION


def published(frame: pl.DataFrame, settings: DetectionSettings | None = None) -> pl.DataFrame:
    rows = RowsBuilder(settings or DetectionSettings()).build(frame)
    FeatureState(set(PUBLISHED)).step(rows)
    columns = published_values(frame, rows, set(PUBLISHED))
    schema = {name: column.dtype for name, column in PUBLISHED.items()}
    return pl.DataFrame([columns.row(i) for i in range(frame.height)], schema=schema, strict=True)


def payments(*changes: dict[str, object]) -> pl.DataFrame:
    """Payments of one user, an hour apart unless they say otherwise."""
    first = stream(1).row(0, named=True) | {
        "user_id": "u",
        "merchant_id": "m",
        "amount": 10.0,
        "status": "approved",
    }
    hours = [first["timestamp"].replace(hour=8, minute=0, second=0, microsecond=0)] * len(changes)
    rows = [
        first | {"transaction_id": f"p{k}", "timestamp": hours[k].replace(hour=8 + k)} | change
        for k, change in enumerate(changes)
    ]
    return complete(pl.DataFrame(rows))


def test_the_frame_has_every_published_column_in_its_type():
    frame = published(stream(300))

    assert frame.schema == pl.Schema({name: column.dtype for name, column in PUBLISHED.items()})


def test_every_transaction_column_is_published():
    assert set(TRANSACTION) <= set(PUBLISHED)
    assert unknown_columns(["amount", "user_count_1d", "label"]) == ["label"]


@pytest.mark.parametrize("column", BUILT_INS, ids=lambda column: column.name)
def test_definitions_are_sentences_for_a_rule_author(column):
    assert len(column.definition) > 15
    assert not column.definition.endswith(".")


def test_the_first_payment_of_a_user_compares_with_nothing():
    row = published(payments({})).row(0, named=True)

    unknown = ("user_amount_median", "user_amount_ratio", "user_amount_z", "user_seconds_since_last",
               "country_is_new", "merchant_is_new", "device_is_new", "distance_km", "travel_kmh")  # fmt: skip
    assert [name for name in unknown if row[name] is not None] == []
    assert row["user_count_1d"] == 1
    assert row["user_count"] == 0


def test_windows_count_this_row_and_baselines_do_not():
    row = published(payments({}, {}, {"amount": 40.0, "merchant_id": "n"})).row(2, named=True)

    assert row["user_count"] == 2
    assert row["user_amount_median"] == 10.0
    assert row["user_amount_ratio"] == 4.0
    assert row["user_count_1d"] == 3
    assert row["user_sum_1d"] == 60.0
    assert row["user_count_20m"] == 1
    assert row["user_seconds_since_last"] == 3600.0
    assert row["merchant_is_new"]


def test_declined_rows_are_attempts_but_no_spending():
    row = published(payments({}, {"status": "declined", "amount": 500.0})).row(1, named=True)

    assert row["user_sum_1d"] == 10.0
    assert row["user_declined_1h"] == 1
    assert row["merchant_declined_share_1h"] == pytest.approx(0.5, abs=0.5)
    assert row["user_count_1d"] == 2


def test_travel_needs_a_place_and_counts_at_least_a_minute():
    near, far = {"lat": 48.0, "lon": 9.0}, {"lat": 48.0, "lon": 10.0}
    frame = published(payments(near, far, {"lat": None, "lon": None}))

    assert frame["travel_kmh"][1] == pytest.approx(74.4, abs=0.2)
    assert frame["travel_kmh"][2] is None
    assert frame["distance_km"][1] == pytest.approx(74.4, abs=0.2)


def test_the_base_amount_is_unknown_without_a_rate():
    frame = payments({}, {"currency": "JPY"}, {"currency": "USD"})

    made = published(frame, DetectionSettings(rates={"USD": 0.5}))

    assert made["amount_base"].to_list() == [10.0, None, 5.0]


def test_time_columns_are_utc():
    row = published(payments({})).row(0, named=True)

    assert row["hour"] == 8
    assert 1 <= row["weekday"] <= 7
