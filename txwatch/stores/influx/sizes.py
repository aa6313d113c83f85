"""How large each bucket is on InfluxDB's disk, from the figures that the server publishes of itself."""

import re
from collections import Counter

import msgspec

from txwatch.stores.influx.connection import Connection

UNNAMED = "others"
"""Buckets that the token may not read, and so cannot name."""

_SHARD = re.compile(rb'^storage_shard_disk_size\{bucket="([0-9a-f]+)"[^}]*\} ([0-9.e+]+)$', re.MULTILINE)


def read_sizes(connection: Connection) -> dict[str, int]:
    """Return bytes by name of bucket; raises StoreError when the server does not tell."""
    answer = msgspec.json.decode(connection.get("/api/v2/buckets?limit=100"), type=_Buckets)
    names = {bucket.id: bucket.name for bucket in answer.buckets}
    found: Counter[str] = Counter()
    for number, size in _SHARD.findall(connection.get("/metrics")):
        found[names.get(number.decode(), UNNAMED)] += int(float(size))
    return dict(found)


class _Bucket(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str


class _Buckets(msgspec.Struct, frozen=True, kw_only=True):
    buckets: list[_Bucket]
