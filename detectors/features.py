"""The feature pass: what the published columns and several detectors need, measured once.

Each feature is an array over the rows of the micro-batch, named like its published column where it has
one.  Everything is measured from the past and, where the definition says so, this row; unknown is NaN.
"""

from collections.abc import Collection

import numpy as np

from detectors.kernels.means import MEAN_WIDTH, shrunk_mean
from detectors.kernels.medians import WIDTH as MEDIAN_WIDTH
from detectors.kernels.medians import running_median
from detectors.kernels.places import WIDTH as PLACE_WIDTH
from detectors.kernels.places import place_features
from detectors.kernels.seen import first_seen
from detectors.kernels.windows import seconds_since_last, window_totals
from detectors.rows import Rows
from detectors.state import State, Table
from detectors.types import Floats, Rows32

_MINUTE = 60_000
_HOUR = 3_600_000

_USER_WINDOWS = {
    "user_count_20m": (20, _MINUTE),
    "user_count_1d": (24, _HOUR),
    "user_sum_1d": (24, _HOUR),
    "user_declined_1h": (12, 5 * _MINUTE),
}
_MERCHANT_WINDOWS = {
    "merchant_count_1h": (12, 5 * _MINUTE),
    "merchant_declined_1h": (12, 5 * _MINUTE),
    "merchant_count_12h": (12, _HOUR),
}
"""Window by feature: how many buckets of how many milliseconds."""

_SEEN = {"country_is_new": 16, "merchant_is_new": 32, "device_is_new": 8}
"""How many different ones are remembered for each user."""


def _windows(windows: dict[str, tuple[int, int]]) -> State:
    """Return the state of windows: totals and buckets (float64: sums keep their cents), newest bucket."""
    buckets = {name: Table("entity", (1 + slots,)) for name, (slots, _) in windows.items()}
    newest = {f"{name}.newest": Table("entity", (), "i8") for name in windows}
    return State(**buckets, **newest)


class FeatureState:
    """The past of every user and merchant, as far as features need it.

    `wanted` names the published columns that somebody reads; a costly one is left out otherwise.
    """

    def __init__(self, wanted: Collection[str] = ()) -> None:
        self._with_spread = {kind: int(f"{kind}_amount_z" in wanted) for kind in ("user", "merchant")}
        self.states = {
            "user": _windows(_USER_WINDOWS),
            "merchant": _windows(_MERCHANT_WINDOWS),
            "user_money": State(
                medians=Table("entity", (MEDIAN_WIDTH,), "f4"),
                means=Table("entity", (MEAN_WIDTH,)),
                groups=Table("group", (MEAN_WIDTH,)),
            ),
            "merchant_money": State(medians=Table("entity", (MEDIAN_WIDTH,), "f4")),
            "places": State(places=Table("entity", (PLACE_WIDTH,)), last_ms=Table("entity", (), "i8")),
            "seen": State(**{name: Table("entity", (1 + held,), "i4") for name, held in _SEEN.items()}),
        }

    def step(self, rows: Rows) -> None:
        """Measure every feature of the rows, into `rows.features`, and remember the rows."""
        for name, state in self.states.items():
            state.grow(entity=rows.sizes.get(name, rows.sizes["user"]), group=rows.sizes["group"])
        self._step_windows(rows)
        self._step_medians("user", rows, rows.user_money)
        self._step_medians("merchant", rows, rows.merchant_money)
        self._step_usual(rows)
        self._step_places(rows)
        self._step_seen(rows)

    def _step_windows(self, rows: Rows) -> None:
        each = np.ones(len(rows))
        add = {"user_sum_1d": np.where(np.isfinite(rows.amount), rows.amount, 0.0) * rows.approved}
        add |= {"user_declined_1h": rows.declined, "merchant_declined_1h": rows.declined}
        slots = {width: rows.times // width for width in (_MINUTE, 5 * _MINUTE, _HOUR)}
        for kind, windows in (("user", _USER_WINDOWS), ("merchant", _MERCHANT_WINDOWS)):
            entity = rows.user if kind == "user" else rows.merchant
            for name, (_, width) in windows.items():
                state = self.states[kind]
                out = np.empty(len(rows))
                added = add.get(name, each)
                window_totals(slots[width], entity, added, state[name], state[f"{name}.newest"], out)
                rows.features[name] = out
        declined, attempts = rows.features["merchant_declined_1h"], rows.features["merchant_count_1h"]
        rows.features["merchant_declined_share_1h"] = declined / np.maximum(attempts, 1.0)
        rows.features["user_sum_1d"] = np.round(rows.features["user_sum_1d"], 6)

    def _step_medians(self, kind: str, rows: Rows, account: Rows32) -> None:
        count, median, spread = np.empty((3, len(rows)))
        learn = rows.approved * np.isfinite(rows.amount)
        states = self.states[f"{kind}_money"]["medians"]
        running_median(rows.amount, account, learn, states, self._with_spread[kind], count, median, spread)
        rows.features[f"{kind}_count"] = count
        rows.features[f"{kind}_amount_median"] = median
        rows.features[f"{kind}_amount_ratio"] = rows.amount / np.where(median > 0.0, median, np.nan)
        if self._with_spread[kind]:
            rows.features[f"{kind}_amount_z"] = _robust_z(rows.amount, count, median, spread)

    def _step_usual(self, rows: Rows) -> None:
        state, out = self.states["user_money"], np.empty(len(rows))
        shrunk_mean(
            rows.amount, rows.user_money, rows.group, rows.approved, state["means"], state["groups"], out
        )
        rows.features["usual_amount"] = out

    def _step_places(self, rows: Rows) -> None:
        state = self.states["places"]
        distance, speed = np.full((2, len(rows)), np.nan)
        if not np.isnan(rows.lat).all():
            place_features(rows.times, rows.lat, rows.lon, rows.user, state["places"], distance, speed)
        rows.features["distance_km"] = distance
        rows.features["travel_kmh"] = speed
        since = np.empty(len(rows))
        seconds_since_last(rows.times, rows.user, state["last_ms"], since)
        rows.features["user_seconds_since_last"] = since

    def _step_seen(self, rows: Rows) -> None:
        values = {
            "country_is_new": rows.country,
            "merchant_is_new": rows.merchant,
            "device_is_new": rows.device,
        }
        for name, value in values.items():
            out = np.full(len(rows), -1, dtype=np.int8)
            if value.max(initial=-1) >= 0:
                first_seen(value, rows.user, self.states["seen"][name], out)
            rows.features[name] = np.where(out < 0, np.nan, out.astype(np.float64))


def _robust_z(amount: Floats, count: Floats, median: Floats, spread: Floats) -> Floats:
    """Return deviations in robust spreads; a constant history has a small spread, never none."""
    at_least = np.maximum(np.maximum(spread, 0.05 * median), 0.01)
    return np.where(count >= 5, (amount - median) / at_least, np.nan)
