"""HTTP to one InfluxDB: writes of line protocol, reads by InfluxQL, with retries.

A write that timed out may still arrive later; every point has an identity, so writing it again is harmless.
"""

import json
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3

from txwatch.errors import StoreBusyError, StoreError
from txwatch.ports import Clock
from txwatch.stores.influx.retry import Failure, GiveUp, decide

PATIENCE = timedelta(seconds=30)
TIMEOUT = urllib3.Timeout(connect=3.0, read=10.0)
LONG_READ = urllib3.Timeout(connect=3.0, read=300.0)
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


class Connection:
    """One server, one organisation, one token; safe to use from several threads.

    Raises StoreBusyError when the server does not take a request within `patience` of waiting, and
    StoreError when it never will.
    """

    def __init__(
        self,
        *,
        url: str,
        token: str,
        org: str,
        clock: Clock,
        patience: timedelta = PATIENCE,
        verify: str | None = None,
    ) -> None:
        self._org = org
        self._clock = clock
        self._patience = patience
        self._luck = random.Random()  # noqa: S311 - spreads retries over time, guards nothing
        self._headers = {"Authorization": f"Token {token}"}
        self._url = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=CONNECTIONS, ca_certs=verify, retries=False)

    def write(self, bucket: str, body: bytes) -> None:
        """Write lines with nanosecond times durably.

        Raises PointsRefusedError when it is the points' fault.
        """
        query = urlencode({"org": self._org, "bucket": bucket, "precision": "ns"})
        try:
            self._request("POST", f"/api/v2/write?{query}", body=body)
        except RequestRefusedError as error:
            if error.failure.status in NOT_ACCEPTED:
                raise PointsRefusedError(error.failure.sentence) from error
            raise

    def rows(self, bucket: str, influxql: str) -> bytes:
        """Return the answer as CSV, for bulk reads.

        InfluxDB's CSV leaves out a statement's error, so an answer without rows is asked for again as
        JSON, which has it.
        """
        body = self._query(bucket, influxql, "application/csv", LONG_READ)
        if not body:
            self.results(bucket, influxql)
        return body

    def results(self, bucket: str, influxql: str) -> list[dict[str, Any]]:
        """Return the result of each statement, as InfluxDB's JSON has it; for small reads."""
        body = self._query(bucket, influxql, "application/json", LONG_READ)
        results: list[dict[str, Any]] = msgspec.json.decode(body).get("results", [])
        for result in results:
            if "error" in result:
                raise StoreError(f"InfluxDB cannot answer from bucket {bucket}: {result['error']}")
        return results

    def delete(self, bucket: str, measurement: str, until: datetime) -> None:
        """Delete what lies before `until`."""
        query = urlencode({"org": self._org, "bucket": bucket})
        body = {
            "start": START_OF_TIME,
            "stop": until.isoformat().replace("+00:00", "Z"),
            "predicate": f'_measurement="{measurement}"',
        }
        headers = {"Content-Type": "application/json"}
        self._request(
            "POST",
            f"/api/v2/delete?{query}",
            body=json.dumps(body).encode(),
            headers=headers,
            timeout=LONG_READ,
        )

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._pool.clear()

    def _query(self, bucket: str, influxql: str, accept: str, timeout: urllib3.Timeout) -> bytes:
        headers = {"Accept": accept, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({"db": bucket, "q": influxql, "epoch": "ns"}).encode()
        return self._request(
            "POST", f"/query?{urlencode({'org': self._org})}", body=body, headers=headers, timeout=timeout
        )

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        timeout: urllib3.Timeout = TIMEOUT,
    ) -> bytes:
        attempt, waited = 0, timedelta(0)
        while True:
            answer = self._try(method, path, body, {**self._headers, **(headers or {})}, timeout)
            if isinstance(answer, bytes):
                return answer
            decision = decide(answer, attempt, waited, self._patience, self._luck.random())
            if isinstance(decision, GiveUp):
                raise StoreBusyError(decision.reason) if decision.later else RequestRefusedError(answer)
            self._clock.sleep(decision.seconds)
            attempt, waited = attempt + 1, waited + timedelta(seconds=decision.seconds)

    def _try(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: urllib3.Timeout
    ) -> bytes | Failure:
        try:
            answer = self._pool.request(method, self._url + path, body=body, headers=headers, timeout=timeout)
        except urllib3.exceptions.HTTPError as error:
            return Failure(None, f"InfluxDB at {self._url} does not answer ({type(error).__name__})")
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
