"""One engine's memory as bytes: versioned, checksummed, refused when it does not fit.

In pieces, since most of it is large arrays that nobody wants to copy once more: a checksum; the length of the
head; the head in MessagePack; the bytes of the arrays in the order of the head; those of the rules.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, cast

import msgspec
import numpy as np

from detectors.state import Array
from txwatch.errors import SnapshotError

FORMAT = "txwatch-engine-5"
_LENGTH = 8
_CHECKSUM = 4

T = TypeVar("T")


class PackedArray(msgspec.Struct, frozen=True, array_like=True):
    """One array as bytes."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in a snapshot."""

    format: str
    ids: dict[str, list[str] | None]
    arrays: dict[str, dict[str, PackedArray]]
    """By part of the engine, then by name."""
    watermark: int
    rules: bytes


def pack(arrays: Mapping[str, Array], *, copies: bool = True) -> dict[str, PackedArray]:
    """Return arrays as bytes: copies, or the arrays' own, for when nothing changes them meanwhile."""
    data = _copied if copies else _own
    return {name: PackedArray(a.dtype.str, a.shape, data(a)) for name, a in arrays.items()}


def unpack(packed: Mapping[str, PackedArray]) -> dict[str, Array]:
    """Return packed arrays as read-only arrays."""
    return {name: np.frombuffer(p.data, p.dtype).reshape(p.shape) for name, p in packed.items()}


def encode(contents: Contents) -> list[bytes]:
    """Return the snapshot in pieces."""
    data = [each.data for part in contents.arrays.values() for each in part.values()]
    arrays = _each(contents.arrays, (b"" for _ in data))
    pieces = [*framed(msgspec.structs.replace(contents, arrays=arrays, rules=b"")), *data, contents.rules]
    return [_checksum(pieces), *pieces]


def decode(snapshot: bytes) -> Contents:
    """Return what `encode` took; raises SnapshotError when damaged or of another format."""
    view = memoryview(snapshot)
    if _checksum([view[_CHECKSUM:]]) != snapshot[:_CHECKSUM]:
        raise SnapshotError("the snapshot is damaged: its checksum does not match")
    head, data = opened(view[_CHECKSUM:], Contents)
    if head.format != FORMAT:
        raise SnapshotError(f"the snapshot has format {head.format}, this version reads {FORMAT}")
    sizes = [_size(each) for part in head.arrays.values() for each in part.values()]
    ends = np.cumsum([0, *sizes]).tolist()
    cut = (bytes(data[start : start + size]) for start, size in zip(ends, sizes, strict=False))
    return msgspec.structs.replace(head, arrays=_each(head.arrays, cut), rules=bytes(data[ends[-1] :]))


def framed(head: msgspec.Struct) -> list[bytes]:
    """Return a head that `opened` finds again, whatever follows."""
    encoded = msgspec.msgpack.encode(head)
    return [len(encoded).to_bytes(_LENGTH, "big"), encoded]


def opened(payload: memoryview, kind: type[T]) -> tuple[T, memoryview]:
    """Return the head of a payload, and what follows; raises SnapshotError where there is no such head."""
    end = _LENGTH + int.from_bytes(payload[:_LENGTH], "big")
    try:
        return msgspec.msgpack.decode(payload[_LENGTH:end], type=kind), payload[end:]
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"the snapshot was written by another version: {error}") from error


def _copied(array: Array) -> bytes:
    """Return a copy's bytes; numpy's own memory is of large pages, which takes a third of the time."""
    return cast("bytes", array.copy(order="C").reshape(-1).view(np.uint8).data)


def _own(array: Array) -> bytes:
    return cast("bytes", np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _each(
    arrays: Mapping[str, Mapping[str, PackedArray]], data: Iterable[bytes]
) -> dict[str, dict[str, PackedArray]]:
    """Return the same arrays with other bytes, in order."""
    others = iter(data)
    return {
        part: {name: PackedArray(each.dtype, each.shape, next(others)) for name, each in packed.items()}
        for part, packed in arrays.items()
    }


def _size(array: PackedArray) -> int:
    return int(np.prod(array.shape, dtype=np.int64)) * np.dtype(array.dtype).itemsize


def _checksum(pieces: Sequence[bytes | memoryview]) -> bytes:
    checksum = 0
    for piece in pieces:
        checksum = zlib.crc32(piece, checksum)
    return checksum.to_bytes(_CHECKSUM, "big")
