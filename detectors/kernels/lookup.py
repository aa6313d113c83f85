"""Finding the rows of keys in an open hash table, compiled."""

from typing import Final

from detectors.kernels.compiled import kernel
from detectors.types import Flags, Rows32, Times

FREE: Final = -1


@kernel
def find_rows(
    keys: Times, present: Flags, table: Rows32, known: Times, count: int, rows: Rows32, first: Times
) -> int:
    """Look keys up, giving new ones the next rows.

    Args:
        keys: shape (n,).
        present: shape (n,); absent ones get row -1.
        table: shape (a power of two,), at most half full; rows by hash, FREE is free; updated.
        known: shape (room,); key by row; updated.
        count: how many rows are given out.
        rows: shape (n,); written.
        first: shape (n,); where each new row was first seen, written from the front.

    Returns:
        How many rows are given out now.
    """
    mask = table.size - 1
    before = count
    for i in range(keys.size):
        rows[i] = -1
        if present[i]:
            slot = ((keys[i] ^ (keys[i] >> 32)) * 0x9E3779B1) & mask
            while table[slot] >= 0 and known[table[slot]] != keys[i]:
                slot = (slot + 1) & mask
            if table[slot] < 0:
                known[count] = keys[i]
                table[slot] = count
                first[count - before] = i
                count += 1
            rows[i] = table[slot]
    return count
