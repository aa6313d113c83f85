"""What values the published columns and declared features can have at all."""

from detectors.rules.bounds import Known
from detectors.rules.draft import Draft
from detectors.rules.features import Feature
from detectors.rules.intervals import ANY, NOT_NEGATIVE, Interval
from detectors.rules.rule import Rule
from detectors.rules.windows import MOST_DISTINCT
from txwatch.model import Status

_AT_LEAST_ONE = Interval(1.0)
_HALF_AROUND_THE_EARTH_KM = 20_040.0

NUMBERS: dict[str, Interval] = {
    "amount": NOT_NEGATIVE,
    "amount_base": NOT_NEGATIVE,
    "lat": Interval(-90.0, 90.0),
    "lon": Interval(-180.0, 180.0),
    "hour": Interval(0.0, 23.0),
    "weekday": Interval(1.0, 7.0),
    "user_count": NOT_NEGATIVE,
    "user_amount_median": NOT_NEGATIVE,
    "user_amount_ratio": NOT_NEGATIVE,
    "user_amount_z": ANY,
    "merchant_count": NOT_NEGATIVE,
    "merchant_amount_median": NOT_NEGATIVE,
    "merchant_amount_ratio": NOT_NEGATIVE,
    "merchant_amount_z": ANY,
    "user_count_20m": _AT_LEAST_ONE,
    "user_count_1d": _AT_LEAST_ONE,
    "user_sum_1d": NOT_NEGATIVE,
    "user_declined_1h": NOT_NEGATIVE,
    "user_seconds_since_last": NOT_NEGATIVE,
    "merchant_count_1h": _AT_LEAST_ONE,
    "merchant_declined_share_1h": Interval(0.0, 1.0),
    "distance_km": Interval(0.0, _HALF_AROUND_THE_EARTH_KM),
    "travel_kmh": NOT_NEGATIVE,
}
"""By published number; follows from the definitions in `detectors.published`."""

TEXTS: dict[str, frozenset[str]] = {"status": frozenset(status.value for status in Status)}


def known_values(draft: Draft, rule: Rule) -> Known:
    """Return what can be said beforehand of the columns that a rule sees when it is asked."""
    numbers = NUMBERS | {feature.name: _of_feature(feature) for feature in draft.features}
    if rule.spec.min_baseline is not None:
        numbers[rule.baseline] = Interval(rule.spec.min_baseline)
    if rule.spec.hours is not None:
        first, last = (float(part) for part in rule.spec.hours.split("-"))
        numbers["hour"] = Interval(first, last - 1.0) if first < last else Interval(0.0, 23.0)
    return Known(numbers, TEXTS)


def _of_feature(feature: Feature) -> Interval:
    if feature.kind == "count":
        return NOT_NEGATIVE if feature.filters else _AT_LEAST_ONE
    if feature.kind == "distinct":
        return Interval(0.0, float(MOST_DISTINCT))
    if feature.kind == "time_since":
        return Interval(0.0, feature.window_ms / 1000.0, high_open=True)
    return ANY
