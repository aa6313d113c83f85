"""Ids seen within a bounded window: an open-addressing table in two generations.

A new id goes into the young generation; when that is full, the old one is forgotten and the young one
takes its place.  So the window holds at least `capacity` and at most twice as many ids.
"""

from typing import Final

import numpy as np

from detectors.kernels.compiled import kernel
from detectors.types import Codes, Hashes, Times

FRESH: Final = 0
DUPLICATE: Final = 1
STATUS_CHANGE: Final = 2

_CONTENT: Final = np.uint64(0xFFFF_FFFF_FFFF_FFFC)


@kernel
def recognise(
    ids: Hashes, contents: Hashes, statuses: Codes, tables: Hashes, sizes: Times, out: Codes
) -> None:
    """Say of each row whether its id was seen with the same content and status, then remember it.

    An id seen with another content is another transaction, and fresh.

    Args:
        ids: shape (n,); hash of the id, never 0.
        contents: shape (n,); hash of who paid whom how much.
        statuses: shape (n,).
        tables: shape (2, slots, 2); id, and content with the status in its last two bits, in two
            generations; updated.
        sizes: shape (3,); ids in each generation, which one is young; updated.
        out: shape (n,); FRESH, DUPLICATE or STATUS_CHANGE.
    """
    for i in range(ids.size):
        young = sizes[2]
        content = (contents[i] & _CONTENT) | np.uint64(statuses[i])
        out[i] = _match(tables[young], ids[i], content)
        if out[i] == FRESH:
            out[i] = _match(tables[1 - young], ids[i], content)
        if out[i] != DUPLICATE:
            _remember(tables, sizes, ids[i], content)


@kernel
def _slot(table: Hashes, key: np.uint64) -> int:
    """Return the slot that holds the key, or the free one where it belongs (slots: a power of two)."""
    mask = np.uint64(table.shape[0] - 1)
    slot = key & mask
    while table[slot, 0] != np.uint64(0) and table[slot, 0] != key:
        slot = (slot + np.uint64(1)) & mask
    return int(slot)


@kernel
def _match(table: Hashes, key: np.uint64, content: np.uint64) -> int:
    slot = _slot(table, key)
    if table[slot, 0] != key or (table[slot, 1] & _CONTENT) != (content & _CONTENT):
        return FRESH
    return DUPLICATE if table[slot, 1] == content else STATUS_CHANGE


@kernel
def _remember(tables: Hashes, sizes: Times, key: np.uint64, content: np.uint64) -> None:
    young = sizes[2]
    slot = _slot(tables[young], key)
    if tables[young, slot, 0] == np.uint64(0):
        if 2 * sizes[young] >= tables.shape[1]:
            young = 1 - young
            tables[young] = np.uint64(0)
            sizes[young] = 0
            sizes[2] = young
            slot = _slot(tables[young], key)
        sizes[young] += 1
    tables[young, slot, 0] = key
    tables[young, slot, 1] = content
