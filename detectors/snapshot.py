"""One engine's memory as bytes: versioned, checksummed, refused when it does not fit."""

import hashlib
from collections.abc import Mapping

import msgspec
import numpy as np

from detectors.state import Array
from txwatch.errors import SnapshotError

FORMAT = "txwatch-engine-3"
_CHECKSUM = 16


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


def pack(arrays: Mapping[str, Array]) -> dict[str, PackedArray]:
    """Return arrays as bytes."""
    return {name: PackedArray(a.dtype.str, a.shape, a.tobytes()) for name, a in arrays.items()}


def unpack(packed: Mapping[str, PackedArray]) -> dict[str, Array]:
    """Return packed arrays as read-only arrays."""
    return {name: np.frombuffer(p.data, p.dtype).reshape(p.shape) for name, p in packed.items()}


def encode(contents: Contents) -> bytes:
    """Return the snapshot: a checksum, then MessagePack."""
    payload = msgspec.msgpack.encode(contents)
    return _digest(payload) + payload


def decode(snapshot: bytes) -> Contents:
    """Return what `encode` took; raises SnapshotError when damaged or of another format."""
    payload = snapshot[_CHECKSUM:]
    if _digest(payload) != snapshot[:_CHECKSUM]:
        raise SnapshotError("the snapshot is damaged: its checksum does not match")
    try:
        contents = msgspec.msgpack.decode(payload, type=Contents)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"the snapshot was written by another version: {error}") from error
    if contents.format != FORMAT:
        raise SnapshotError(f"the snapshot has format {contents.format}, this version reads {FORMAT}")
    return contents


def _digest(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_CHECKSUM).digest()
