"""One fitted forest with all that belongs to it: trees, the tail of its scores, where it comes from."""

import hashlib
from importlib.metadata import version
from typing import Any, Final

import msgspec
import numpy as np

from detectors.heldback import HeldBack, held_back, held_back_tables
from detectors.kernels.histogram import BINS
from detectors.kernels.stretch import POPULATION_LEVEL
from detectors.kernels.tail import FIT_WIDTH, population_tail
from detectors.method import Evidence, blank, silent
from detectors.settings import Forest
from detectors.snapshot import PackedArray, pack, unpack
from detectors.state import State
from detectors.state import Table as Shape
from detectors.trees import FEATURE_NAMES, Sample, Trees, isolation, tree_tables
from txwatch import __version__
from txwatch.errors import SnapshotError

_RESOLUTION = 20.0
_FORGET_EVERY = 32768.0
_NUMBER, _FIRST, _LAST, _ROWS, _LEFT_OUT, _AT = range(6)
_FACTS: Final = 6
_TREES: Final = Trees.__struct_fields__


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What a forest was fitted to; times are event times in milliseconds since 1970 UTC."""

    number: int
    """Counts the fits of one detector from 0; the seed follows it."""
    first: int
    last: int
    rows: int
    left_out: int
    """Payments that were kept once and left out again, since they were flagged or confirmed as frauds."""
    at: int
    """When the fit began."""


class FittedForest:
    """A place for one forest; empty until one is put there."""

    def __init__(self, settings: Forest) -> None:
        self._numbers = np.array([settings.even_at, settings.gain, settings.warm_up, _FORGET_EVERY])
        self.state = State(
            **tree_tables(settings.trees),
            facts=Shape("", (), "i8", rows_each=_FACTS),
            counts=Shape("", (BINS,)),
            fits=Shape("", (FIT_WIDTH,)),
            **held_back_tables(),
        )

    @property
    def is_there(self) -> bool:
        """Whether a forest was put here."""
        return bool(self.state["facts"][_ROWS] > 0)

    @property
    def origin(self) -> Origin:
        """What the forest was fitted to."""
        return Origin(**dict(zip(Origin.__struct_fields__, self.state["facts"].tolist(), strict=True)))

    @property
    def held_back(self) -> HeldBack:
        """What it did on held-back payments."""
        return held_back(self.state)

    @property
    def version(self) -> str:
        """Return a hash of the trees; the same trees have the same one."""
        digest = hashlib.blake2b(digest_size=6)
        for name in _TREES:
            digest.update(self.state[name].tobytes())
        return digest.hexdigest()

    def score(self, x: Sample) -> Evidence:
        """Return the evidence of rows, shape (n, FEATURES), by the tail of all scores; then learn it."""
        if not self.is_there:
            return silent(len(x))
        isolated = isolation(self.state, x)
        found = blank(np.empty(len(x)))
        population_tail(
            np.exp(_RESOLUTION * isolated),
            np.zeros(len(x), dtype=np.int32),
            self.state["counts"],
            self.state["fits"],
            self._numbers,
            found.log_odds,
            found.expected,
            found.size,
        )
        found.observed[:] = isolated
        found.expected[:] = np.log(np.maximum(found.expected, 1e-9)) / _RESOLUTION
        found.level[:] = POPULATION_LEVEL
        return found

    def put(self, trees: Trees, origin: Origin) -> None:
        """Put a fitted forest here."""
        known = self.state.dump()
        self.state.load(known | {name: getattr(trees, name) for name in _TREES})
        self.state["facts"][:] = [getattr(origin, name) for name in Origin.__struct_fields__]

    def begin_with_tail_of(self, other: "FittedForest") -> None:
        """Go on with the tail of another one's scores, until it has its own."""
        for name in ("counts", "fits"):
            self.state[name][:] = other.state[name]

    def take(self, other: "FittedForest") -> None:
        """Take over everything of another one, which is empty afterwards."""
        self.state.load(other.state.dump())
        other.clear()

    def clear(self) -> None:
        """Forget the forest."""
        self.state["facts"][:] = 0

    def facts(self) -> dict[str, Any]:
        """Return what it was fitted to, and by what."""
        made = {"features": list(FEATURE_NAMES), "versions": _versions()}
        return made | {name: int(value) for name, value in msgspec.structs.asdict(self.origin).items()}

    def payload(self) -> bytes:
        """Return trees, origin and the names of the features as bytes, for a registry."""
        trees = pack({name: self.state[name] for name in _TREES})
        return msgspec.msgpack.encode(_Payload(trees=trees, origin=self.origin, features=FEATURE_NAMES))


def unpacked(payload: bytes) -> tuple[Trees, Origin]:
    """Return what `payload` was made of; raises SnapshotError where it is damaged or of other features."""
    try:
        kept = msgspec.msgpack.decode(payload, type=_Payload)
        trees = Trees(**unpack(kept.trees))
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise SnapshotError(f"the model is damaged or of another version: {error}") from error
    if kept.features not in {(), FEATURE_NAMES}:
        raise SnapshotError("the model was fitted to the deviations of other detectors than there are now")
    return trees, kept.origin


def _versions() -> dict[str, str]:
    return {"txwatch": __version__} | {name: version(name) for name in ("scikit-learn", "numpy")}


class _Payload(msgspec.Struct, frozen=True, kw_only=True):
    trees: dict[str, PackedArray]
    origin: Origin
    features: tuple[str, ...] = ()
    """None named: the payload is older than their names."""
