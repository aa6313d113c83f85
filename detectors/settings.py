"""What can be tuned about transaction detection: the sections `detectors` and `severity` of rules.yaml.

Every default was chosen once for the problem and holds for any stream; `docs/detection.md` says what
each number does to the figures.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
Share = Annotated[float, Meta(gt=0, lt=1)]
Count = Annotated[int, Meta(ge=1)]
DetectorName = Literal[
    "user_amount",
    "merchant_amount",
    "amount_tail",
    "user_velocity",
    "user_burst",
    "user_day",
    "merchant_rush",
    "user_declined",
    "merchant_declined",
    "hours",
    "distance",
    "travel",
    "country",
    "forest",
    "merchant_confirmed",
    "user_confirmed",
]
"""A test holds these against the methods that there are."""


class Stretch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value against the entity's own expectation, stretched when bad."""

    stretches: tuple[Positive, ...] = (2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
    """By how much a bad row's value is stretched; each equally likely."""
    prior_rows: Positive = 3.0
    """Rows of the peers' or population's mean that an entity's own mean is shrunk by."""
    onset: Share = 0.003
    """Chance that an entity is compromised at any row."""
    memory_days: Positive = 10.0
    """Days over which a compromise is forgotten."""
    share: Share = 0.4
    """Share of a compromised entity's rows that are bad."""
    row_limit: Positive = 40.0
    """What a single row may add, in log odds."""
    keep_rows: Positive = 150.0
    """Rows behind an entity's mean; older ones fade."""
    warm_up: Count = 500
    """Rows of the population before anything is said."""


class Arrivals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Events against the entity's own rate, surging in a burst."""

    surge: Positive
    """Events of a burst come at this many times the usual rate."""
    memory_days: Positive
    """Days that a burst lasts."""
    onset: Share
    """Chance of a burst before any event."""
    prior_days: Positive = 3.0
    """Days of the population's rate that an entity's own rate is shrunk by."""
    rate_memory_days: Positive = 40.0
    """Days over which an entity's rate is forgotten."""
    certainty: Positive = 27.0
    """Log odds of a burst at which suspicion stops to grow: more would only take longer to fade."""
    warm_up: Count = 500
    """Rows of the population before anything is said."""


class Hours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Activity in hours that are quiet for the entity."""

    surge: Positive = 10.0
    memory_days: Positive = 5.0
    onset: Share = 0.001
    prior_days: Positive = 3.0
    rate_memory_days: Positive = 40.0
    quiet: Share = 0.8
    """An hour is quiet when its rate is below this part of the mean rate."""
    prior_rows: Positive = 60.0
    """Rows of the population's profile that an entity's own profile is shrunk by."""
    warm_up: Count = 500


class Tail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value against the tail of everybody's."""

    even_at: Positive = 7.4
    """Odds are even at this minus log tail probability (7.4: one in 1,600)."""
    gain: Positive = 2.0
    """Log odds for each further e-fold of rarity."""
    warm_up: Count = 500
    """Values before anything is said."""


class Country(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A country that is new to the user."""

    onset: Share = 0.0005
    """Chance that a row comes from a thief abroad."""
    share: Share = 0.5
    """Share of a thief's rows that are in a new country."""
    warm_up: Count = 500


class Forest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Isolation forest on the deviations that the other detectors measured."""

    trees: Count = 25
    sample_rows: Count = 8192
    """Rows kept to train on; what other detectors suspect is left out."""
    rows_per_day: Count = 2048
    """Rows kept each day, evenly."""
    refit_days: Count = 14
    """Days between fits, once the first few have been made at shorter intervals."""
    even_at: Positive = 9.0
    gain: Positive = 1.0
    warm_up: Count = 2000
    seed: int = 1


class Feedback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Confirmed frauds as an extra hypothesis."""

    delay_days: Count = 7
    """A label counts from so many days after its payment's day on, however early it is given."""
    prior_rows: Positive = 3.0
    """Payments of the population that an entity's own share is shrunk by."""
    prior_share: Share = 0.001
    """Share of them that is confirmed."""
    learn_days: Count = 35
    """Days of payments with due labels from which it is learnt what a share says."""
    rows_per_day: Count = 2000
    """Payments of entities with a confirmed fraud that are kept each day to learn from."""
    labels: Count = 65_536
    """Labels remembered at most; the oldest are forgotten first."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How evidence of different detectors is brought to one scale."""

    prior: Positive = 9.25
    """Odds are even where normal behaviour would give as much evidence once in e^prior rows."""
    times_chance: Positive = 2.0
    """A detector keeps its weight when it finds this many times what chance would."""
    rare: Positive = 6.5
    """Whether a detector finds anything is counted where rarity is beyond e^-rare."""
    gain: Positive = 5.0
    """Log odds lost for each e-fold that it finds less."""
    lowest: float = -5.0
    """Log odds that a detector can lose at most because it finds nothing in this stream."""
    highest: float = 0.0
    """Log odds that it can gain at most."""
    prior_count: Positive = 5.0
    warm_up: Count = 2000
    """Rows before a detector's evidence may pass even odds."""


class Drift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The watch over the detection itself."""

    watch: bool = True
    window_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 3600
    """Length of a window, in event time."""
    least_payments: Count = 500
    """Payments that a window needs; one with fewer goes on with the next."""
    beyond: Positive = 6.0
    """How many robust standard deviations of its own past a figure may be off."""
    remember: Annotated[int, Meta(ge=12)] = 56
    """Windows of one part of the day (four hours) that a band is learnt from: hours of 14 days."""


class Severities(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `severity`: from which score on an anomaly has which severity; below medium it is low."""

    medium: float = 65.0
    high: float = 85.0
    critical: float = 97.0
    weights: dict[DetectorName, Positive] = {}
    """By how much the odds that a detector gives are multiplied before all are joined: 2 doubles its voice,
    0.5 halves it; 1 where it is not named."""

    def __post_init__(self) -> None:
        """Refuse a severity that begins above a graver one, or where no score comes."""
        if not 0.0 <= self.medium <= self.high <= self.critical <= 100.0:
            levels = f"medium {self.medium:g}, high {self.high:g}, critical {self.critical:g}"
            raise ValueError(f"{levels} are no rising scores from 0 to 100")


def _burst() -> Arrivals:
    return Arrivals(surge=300.0, memory_days=1.0 / 72.0, onset=1e-4)


def _day() -> Arrivals:
    return Arrivals(surge=4.0, memory_days=1.5, onset=1e-3, certainty=6.0)


def _merchant_rush() -> Arrivals:
    return Arrivals(surge=10.0, memory_days=0.5, onset=1e-4, certainty=6.0)


def _declined() -> Arrivals:
    return Arrivals(surge=300.0, memory_days=1.0 / 24.0, onset=1e-4)


class DetectionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section `detectors`, with `base_currency` and `severity` beside it."""

    base_currency: str = "EUR"
    rates: dict[str, Positive] = {}
    """Value of one unit of each currency in the base currency; others get baselines of their own."""
    allowed_lateness: Annotated[float, Meta(ge=0)] = 60.0
    """Seconds that a row may come out of order before it is marked late."""
    remember_ids: Count = 262_144
    """Transaction ids remembered at least, to recognise duplicates and status changes."""
    budget_per_day: Annotated[float, Meta(ge=0)] = 50.0
    """Alerts a day that the threshold is kept at, by the scores of the last seven days."""
    threshold: Annotated[float, Meta(ge=0, le=100)] | None = None
    """A fixed score from which on a row is an anomaly, instead of the budget."""
    threshold_probability: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """A fixed probability of being an anomaly from which on a row is one, instead of the budget."""
    lowest_threshold: Annotated[float, Meta(ge=0, le=100)] = 25.0
    """However large the budget, no score below this is an anomaly."""
    off: tuple[DetectorName, ...] = ()
    """Names of the detectors that stay silent."""
    severity: Severities = Severities()
    user_amount: Stretch = Stretch()
    merchant_amount: Stretch = Stretch(
        stretches=(1.6, 2.0, 2.5, 3.0), prior_rows=20.0, onset=0.001, share=0.8, row_limit=4.0
    )
    user_velocity: Arrivals = msgspec.field(default_factory=_day)
    distance: Stretch = Stretch(prior_rows=5.0, onset=0.002, memory_days=3.0)
    amount_tail: Tail = Tail()
    travel: Tail = Tail(even_at=9.0, gain=1.0)
    user_burst: Arrivals = msgspec.field(default_factory=_burst)
    user_day: Arrivals = msgspec.field(default_factory=_day)
    merchant_rush: Arrivals = msgspec.field(default_factory=_merchant_rush)
    user_declined: Arrivals = msgspec.field(default_factory=_declined)
    merchant_declined: Arrivals = msgspec.field(default_factory=_declined)
    hours: Hours = Hours()
    country: Country = Country()
    forest: Forest = Forest()
    feedback: Feedback | None = None
    """Confirmed frauds as an extra hypothesis; without it labels are kept and change no score."""
    calibration: Calibration = Calibration()
    drift: Drift = Drift()

    def __post_init__(self) -> None:
        """Refuse two thresholds."""
        if self.threshold is not None and self.threshold_probability is not None:
            raise ValueError("threshold and threshold_probability both fix where anomalies begin: keep one")
