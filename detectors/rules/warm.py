"""Compiling the window kernels before the first transaction comes."""

import numpy as np
import polars as pl

from detectors.rules.features import KINDS, Feature
from detectors.rules.windows import Windows
from txwatch.columns import TIME


def warm_up() -> None:
    """Step one feature of each kind, for entities with given rows and for those of its own."""
    features = [
        Feature(name=f"{kind}_{by}", kind=kind, by=(by,), window_ms=60_000)
        for kind in KINDS
        for by in ("user_id", "card_id")
    ]
    frame = pl.DataFrame(
        {"timestamp": pl.Series([0, 1]).cast(TIME), "user_id": ["a", "b"], "card_id": ["a", "b"]}
    )
    inputs = {feature.name: (np.ones(2, np.bool_), np.ones(2)) for feature in features}
    Windows(features).step(frame, inputs, {"user_id": np.zeros(2, np.int32)})
