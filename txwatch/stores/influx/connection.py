"""HTTP to one InfluxDB: writes of line protocol, reads by InfluxQL, with retries.

A write that timed out may still arrive later; every point has an identity, so writing it again is harmless.
"""

import json
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3

from txwatch.errors import StoreBusyError, StoreError
from txwatch.ports import Clock
from txwatch.stores.influx.retry import Failure, GiveUp, decide

QUERY_WITHIN = timedelta(minutes=5)
CONNECT_SECONDS = 3.0
CONNECTIONS = 4
NOT_ACCEPTED = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY}
)
"""Answers to a write that are about its points."""

START_OF_TIME = "1677-09-21T00:12:44Z"


class RequestRefusedError(StoreError):
    """The server refuses a request and always will."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"InfluxDB refuses: {failure.sentence}")
        self.failure = failure


class PointsRefusedError(StoreError):
    """The server refuses at least one point of a write; the others may or may not be written."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is, as whom to speak to it, and how long to wait for it.

    `certificate_authority` is a file, for a server whose certificate no public authority signed;
    `answer_within` is when a write counts as lost; `patience` is how long a request is tried again.
    """

    url: str
    token: str
    org: str
    certificate_authority: str | None = None
    answer_within: timedelta = timedelta(seconds=10)
    patience: timedelta = timedelta(seconds=30)

    def __repr__(self) -> str:
        """Leave the token out."""
        return f"Access(url={self.url!r}, org={self.org!r})"


class Connection:
    """One server, one organisation, one token; safe to use from several threads.

    Raises StoreBusyError when the server does not take a request within `patience` of waiting, and
    StoreError when it never will.
    """

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock
        self._luck = random.Random()  # noqa: S311 - spreads retries over time, guards nothing
        self._headers = {"Authorization": f"Token {access.token}"}
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS, ca_certs=access.certificate_authority, retries=False
        )

    def write(self, bucket: str, body: bytes) -> None:
        """Write lines with nanosecond times durably.

        Raises PointsRefusedError when it is the points' fault.
        """
        query = urlencode({"org": self._access.org, "bucket": bucket, "precision": "ns"})
        try:
            self._request(f"/api/v2/write?{query}", body, {}, self._access.answer_within)
        except RequestRefusedError as error:
            if error.failure.status in NOT_ACCEPTED:
                raise PointsRefusedError(error.failure.sentence) from error
            raise

    def rows(self, bucket: str, influxql: str) -> bytes:
        """Return the answer as CSV, for bulk reads.

        InfluxDB's CSV leaves out a statement's error: what failed looks like what found nothing.
        """
        return self._query(bucket, influxql, "application/csv")

    def checked_rows(self, bucket: str, influxql: str) -> bytes:
        """Return the answer as CSV; one without rows is asked for again as JSON, which has the error."""
        body = self.rows(bucket, influxql)
        if not body:
            self.results(bucket, influxql)
        return body

    def results(self, bucket: str, influxql: str) -> list[dict[str, Any]]:
        """Return the result of each statement, as InfluxDB's JSON has it; for small reads."""
        body = self._query(bucket, influxql, "application/json")
        results: list[dict[str, Any]] = msgspec.json.decode(body).get("results", [])
        for result in results:
            if "error" in result:
                raise StoreError(f"InfluxDB cannot answer from bucket {bucket}: {result['error']}")
        return results

    def delete(self, bucket: str, measurement: str, until: datetime) -> None:
        """Delete what lies before `until`; the server takes the last time it is given as included."""
        last = until - timedelta(microseconds=1)
        stop = f"{last.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}999Z"
        self._delete(bucket, START_OF_TIME, stop, f'_measurement="{measurement}"')

    def delete_point(self, bucket: str, measurement: str, tags: Mapping[str, str], time: int) -> None:
        """Delete the point of a series at a time in nanoseconds; `tags` are its values as stored."""
        seconds, rest = divmod(time, 10**9)
        at = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
        own = [f"{name}={json.dumps(value)}" for name, value in tags.items()]
        self._delete(bucket, at, at, " AND ".join([f'_measurement="{measurement}"', *own]))

    def get(self, path: str) -> bytes:
        """Return what the server says at a path, asked once; for what can wait until the next time."""
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=CONNECT_SECONDS)
        url = self._access.url.rstrip("/") + path
        try:
            answer = self._pool.request("GET", url, headers=self._headers, timeout=timeout)
        except urllib3.exceptions.HTTPError as error:
            raise StoreBusyError(f"InfluxDB does not answer ({type(error).__name__})") from error
        if answer.status != HTTPStatus.OK:
            raise StoreError(f"InfluxDB refuses {path}: {_message(answer.data)}")
        return answer.data

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._pool.clear()

    def _delete(self, bucket: str, start: str, stop: str, predicate: str) -> None:
        query = urlencode({"org": self._access.org, "bucket": bucket})
        body = json.dumps({"start": start, "stop": stop, "predicate": predicate}).encode()
        headers = {"Content-Type": "application/json"}
        self._request(f"/api/v2/delete?{query}", body, headers, QUERY_WITHIN)

    def _query(self, bucket: str, influxql: str, accept: str) -> bytes:
        headers = {"Accept": accept, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"db": bucket, "q": influxql, "epoch": "ns"}).encode()
        return self._request(f"/query?{urlencode({'org': self._access.org})}", body, headers, QUERY_WITHIN)

    def _request(self, path: str, body: bytes, headers: Mapping[str, str], within: timedelta) -> bytes:
        """Try until it is answered; the wait so far is the longer of the clock's time and our own sleeps."""
        attempt, slept, began = 0, timedelta(0), self._clock.now()
        while True:
            answer = self._try(path, body, {**self._headers, **headers}, within)
            if isinstance(answer, bytes):
                return answer
            waited = max(slept, self._clock.now() - began)
            decision = decide(answer, attempt, waited, self._access.patience, self._luck.random())
            if isinstance(decision, GiveUp):
                raise StoreBusyError(decision.reason) if decision.later else RequestRefusedError(answer)
            self._clock.sleep(decision.seconds)
            attempt, slept = attempt + 1, slept + timedelta(seconds=decision.seconds)

    def _try(self, path: str, body: bytes, headers: Mapping[str, str], within: timedelta) -> bytes | Failure:
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=within.total_seconds())
        try:
            answer = self._pool.request(
                "POST", self._access.url.rstrip("/") + path, body=body, headers=headers, timeout=timeout
            )
        except urllib3.exceptions.HTTPError as error:
            return Failure(None, f"InfluxDB at {self._access.url} does not answer ({type(error).__name__})")
        if answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return answer.data
        return Failure(answer.status, _message(answer.data), _seconds(answer.headers.get("Retry-After")))


def _message(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body)["message"])
    except (msgspec.DecodeError, KeyError, TypeError, UnicodeDecodeError):
        return body[:200].decode("utf-8", "replace") or "no reason given"


def _seconds(retry_after: str | None) -> float | None:
    """Read the header's form in seconds; its form as a date is left to our own backoff."""
    return float(retry_after) if retry_after and retry_after.isdigit() else None
