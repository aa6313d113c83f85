"""One series of (time, value), scored row by row from its own past."""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.series.band import Band
from detectors.series.calibration import Calibration
from detectors.series.join import Emission, joined, score
from detectors.series.jump import Jump
from detectors.series.level import Level
from detectors.series.local_time import local_ms
from detectors.series.method import Floats, Method, Times
from detectors.series.profile import Profile
from detectors.series.sampling import Sampling
from detectors.series.shape import Shape
from detectors.series.snapshot import dump_records, restored_records
from detectors.series.volatility import Volatility

Places = npt.NDArray[np.intp]

FINE_SECONDS = 120.0
FINE_REST = 120
COARSE_REST = 300


def methods() -> tuple[Method, ...]:
    """Return every method that is calibrated by rarity, fresh, in the order of the documentation."""
    return (Jump(), Shape(4), Shape(48), Level(), Volatility())


class ScorerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a series is scored.

    `interval_seconds` is the time between rows; None: the median of the first differences.  `zone` is
    the place whose clock the season follows.  `off` names methods that stay silent.
    """

    interval_seconds: float | None = None
    zone: str = "UTC"
    off: tuple[str, ...] = ()


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, each an array of one number a row, shape (n,).

    `score` is 0 to 1 and zero where nothing (new) is strange; `evidence` is its source in powers of
    ten before the rest period; `expected`, `low`, `high` are nan while there is no baseline.
    """

    score: Floats
    evidence: Floats
    expected: Floats
    low: Floats
    high: Floats


class SeriesScorer:
    """The score of every row depends on the rows before it alone, and not on how calls are cut.

    All methods give evidence in powers of ten, which is joined, kept to one alarm per event, and mapped
    to 0..1.  Rows at most two minutes apart are fine enough for the seasonal profile, which speaks from
    the second day; coarser series are left to the methods that are calibrated by rarity.

    A value that is not finite scores 0 and teaches nothing.  Gaps, repeated and unordered times: a row
    is a row; only the profile starts its sums afresh.  A constant series scores 0 until it moves.
    """

    def __init__(self, settings: ScorerSettings | None = None) -> None:
        self._settings = settings or ScorerSettings()
        self._sampling = Sampling(self._settings.interval_seconds)
        self._methods = tuple(method for method in methods() if method.name not in self._settings.off)
        self._calibrations = tuple(Calibration() for _ in self._methods)
        self._profile: Profile | None = None
        self._band = Band()
        self._emission = Emission(COARSE_REST)
        self._settle()

    @property
    def interval_seconds(self) -> float:
        """Time between rows; 0 while it is unknown."""
        return self._sampling.seconds

    def step(self, times_ms: Times, values: Floats) -> Scored:
        """Score rows in order.

        Args:
            times_ms: event time in milliseconds since 1970 UTC, shape (n,).
            values: one number a row, nan where there is none, shape (n,).
        """
        times = np.asarray(times_ms, np.int64)
        numbers = np.asarray(values, np.float64)
        finite = np.isfinite(numbers)
        out = _nothing(len(numbers))
        for part in self._parts(times, finite):
            _put(out, part, self._score(times[part], numbers[part]))
        return out

    def dump(self) -> dict[str, Any]:
        """Return all state as flat arrays and numbers."""
        kept = self._sampling.dump()
        kept |= dump_records("band", self._band.state) | dump_records("emission", self._emission.state)
        for method, calibration in zip(self._methods, self._calibrations, strict=True):
            kept |= dump_records(method.name, method.state)
            kept |= dump_records(f"{method.name}.calibration", calibration.state)
        if self._profile:
            kept |= dump_records("profile", self._profile.state)
        return kept

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Become the scorer that was dumped; raises SnapshotError for a dump of another version."""
        self._sampling.restore(kept)
        self._settle()
        self._band.state = restored_records("band", self._band.state, kept)
        self._emission.state = restored_records("emission", self._emission.state, kept)
        for method, calibration in zip(self._methods, self._calibrations, strict=True):
            method.state = restored_records(method.name, method.state, kept)
            calibration.state = restored_records(f"{method.name}.calibration", calibration.state, kept)
        if self._profile:
            self._profile.state = restored_records("profile", self._profile.state, kept)

    def _parts(self, times: Times, finite: npt.NDArray[np.bool_]) -> list[Places]:
        """Cut the finite rows where the sampling interval becomes known: there the profile begins."""
        rows = np.flatnonzero(finite)
        if self._sampling.known:
            return [rows]
        used = self._sampling.see(times[rows])
        return [rows[:used], rows[used:]]

    def _score(self, times: Times, values: Floats) -> Scored:
        evidences = [
            calibration.step(method.step(times, values))
            for method, calibration in zip(self._methods, self._calibrations, strict=True)
        ]
        bands = self._band.step(values)
        if self._profile:
            found = self._profile.results(local_ms(times, self._settings.zone), values)
            evidences.append(np.nan_to_num(found["evidence"]))
            seasonal = np.array([found["expected"], found["low"], found["high"]])
            bands = np.where(np.isnan(seasonal), bands, seasonal)
        evidence = joined(np.array(evidences).reshape(len(evidences), len(values)))
        passed = score(self._emission.step(evidence))
        self._settle()
        return Scored(score=passed, evidence=evidence, expected=bands[0], low=bands[1], high=bands[2])

    def _settle(self) -> None:
        """Once the sampling interval is known, a fine series gets its profile and a shorter rest."""
        if self._sampling.known and self._profile is None and self._sampling.seconds <= FINE_SECONDS:
            self._emission.longest = FINE_REST
            if Profile.name not in self._settings.off:
                self._profile = Profile(self._sampling.seconds)


def _nothing(rows: int) -> Scored:
    zero, unknown = np.zeros(rows), np.full(rows, np.nan)
    return Scored(score=zero, evidence=zero.copy(), expected=unknown, low=unknown.copy(), high=unknown.copy())


def _put(whole: Scored, rows: Places, part: Scored) -> None:
    for field in Scored.__struct_fields__:
        getattr(whole, field)[rows] = getattr(part, field)
