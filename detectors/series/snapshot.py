"""State as flat, named arrays: what a snapshot keeps, and how it comes back."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from detectors.series.method import Records
from txwatch.errors import SnapshotError


def dump_records(name: str, state: Records) -> dict[str, Any]:
    """Return the fields of a structured array as `name.field` -> array, copied."""
    return {f"{name}.{field}": state[field].copy() for field in state.dtype.names or ()}


def restored_records(name: str, fresh: Records, kept: Mapping[str, Any]) -> Records:
    """Return records like `fresh` filled from a dump, as many rows as were kept.

    Raises:
        SnapshotError: a field is missing or has another shape: the dump is of another version.
    """
    fields = fresh.dtype.names or ()
    missing = [field for field in fields if f"{name}.{field}" not in kept]
    if missing:
        raise SnapshotError(f"the snapshot of a series detector lacks {name}.{missing[0]}")
    state: Records = np.zeros(len(kept[f"{name}.{fields[0]}"]), fresh.dtype)
    for field in fields:
        values = np.asarray(kept[f"{name}.{field}"])
        if values.shape != state[field].shape:
            raise SnapshotError(f"the snapshot of a series detector holds {name}.{field} in another shape")
        state[field] = values
    return state
