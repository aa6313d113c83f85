"""Two kept forests on the same recent payments, side by side."""

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.fittedforest import FittedForest, unpacked
from detectors.settings import Forest
from detectors.snapshot import Contents, decode, opened, unpack
from detectors.trees import Sample
from detectors.types import Floats
from txwatch.errors import SnapshotError


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """How isolated one forest finds recent payments that nobody suspects, 0 to 1."""

    mean: float
    highest_percent: float
    """The isolation that one in a hundred exceeds."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two forests on the same payments."""

    payments: int
    first: Ranked
    second: Ranked
    agreement: float
    """Spearman's rank correlation of the two, -1 to 1."""
    shared_percent: float
    """Share, 0 to 1, of the most isolated hundredth of one that is also the other's."""


class _Head(msgspec.Struct):
    rules: str


def kept_sample(snapshot: bytes, name: str) -> Sample:
    """Return the payments that a detector keeps to learn from, of its newest snapshot.

    Raises SnapshotError where there are none.
    """
    _, engine = opened(memoryview(snapshot), _Head)
    contents: Contents = decode(bytes(engine))
    arrays = unpack(contents.arrays.get(f"{name}.sample", {}))
    kept: Sample = arrays["x"][arrays["number"] > 0] if arrays else np.empty((0, 0), np.float32)
    if not len(kept):
        raise SnapshotError(f"{name} keeps no payments yet on which two models could be compared")
    return kept


def compared(first: bytes, second: bytes, sample: Sample) -> Comparison:
    """Return two kept forests on a sample, shape (n, FEATURES); raises SnapshotError for a damaged one."""
    left, right = (_isolation(payload, sample) for payload in (first, second))
    count = max(1, len(sample) // 100)
    shared = np.intersect1d(np.argsort(-left)[:count], np.argsort(-right)[:count])
    return Comparison(
        payments=len(sample),
        first=_ranked(left),
        second=_ranked(right),
        agreement=round(float(np.corrcoef(_ranks(left), _ranks(right))[0, 1]), 4),
        shared_percent=round(len(shared) / count, 4),
    )


def figures(held_back: Mapping[str, float]) -> str:
    """Return in one line what a forest did on held-back payments."""
    if not held_back.get("rows"):
        return "not judged yet"
    return (
        f"{held_back['rows']:,} held-back payments: isolation of ordinary ones {held_back['ordinary']:.3f}, "
        f"ranking of suspected ones {held_back['ranking']:.3f}, {held_back['alone']:,} suspected by it alone"
    )


def _isolation(payload: bytes, sample: Sample) -> Floats:
    trees, origin = unpacked(payload)
    forest = FittedForest(Forest(trees=len(trees.feature)))
    forest.put(trees, origin)
    return forest.score(sample).observed


def _ranked(isolated: Floats) -> Ranked:
    return Ranked(
        mean=round(float(isolated.mean()), 4), highest_percent=round(float(np.quantile(isolated, 0.99)), 4)
    )


def _ranks(values: Floats) -> npt.NDArray[np.int64]:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")
