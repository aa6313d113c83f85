"""The first call to a new InfluxDB: it takes one administrator, once, from whoever asks first."""

import json
from http import HTTPStatus
from typing import Any

import urllib3

from txwatch.errors import StoreBusyError, StoreError
from txwatch.stores.influx.layout import TRANSACTIONS

TIMEOUT_SECONDS = 10.0


def is_fresh(url: str) -> bool:
    """Tell whether nobody set up this InfluxDB yet; raises StoreBusyError when it does not answer."""
    return bool(_call("GET", url, None).get("allowed"))


def onboard(url: str, user: str, password: str, org: str, token: str) -> None:
    """Make the first user, organisation and operator token; raises StoreError if it refuses."""
    body = {"username": user, "password": password, "org": org, "bucket": TRANSACTIONS, "token": token}
    _call("POST", url, body)


def _call(method: str, url: str, body: dict[str, str] | None) -> dict[str, Any]:
    text = None if body is None else json.dumps(body)
    with urllib3.PoolManager(timeout=TIMEOUT_SECONDS, retries=False) as pool:
        try:
            answer = pool.request(method, f"{url.rstrip('/')}/api/v2/setup", body=text)
        except urllib3.exceptions.HTTPError as error:
            raise StoreBusyError(f"InfluxDB at {url} does not answer: {type(error).__name__}") from error
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise StoreError(f"InfluxDB at {url} refuses to be set up: {answer.status} {answer.data[:200]!r}")
    try:
        return dict(json.loads(answer.data))
    except ValueError as error:
        raise StoreError(f"what answers at {url} is not an InfluxDB 2") from error
