"""The stores: where everything that has a time is kept, behind one interface.

`open_store` opens the store that an address names: the embedded SQLite file, or InfluxDB.  What each of
them guarantees is the same and held by the same contract tests.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from txwatch.errors import ConfigurationError
from txwatch.ports import Clock, Store
from txwatch.pseudonym import KEY, pseudonyms_of
from txwatch.stores.sqlite import SqliteStore

SQLITE = "sqlite:///"
INFLUX = {"influx": "http", "influxs": "https"}
"""By the scheme of an address: the scheme of the server behind it."""
TOKEN = "TXWATCH_INFLUX_TOKEN"  # noqa: S105 - the name of the setting, not the token


def open_store(
    url: str,
    clock: Clock,
    *,
    writer: bool,
    secrets: Mapping[str, str] | None = None,
    role: str = "services",
) -> Store:
    """Open the store at `url`; `writer` claims an embedded file for ingestion.

    `sqlite:///PATH`, or `influx://HOST:PORT/ORGANISATION` (`influxs` for TLS) with the token in `secrets`
    under TXWATCH_INFLUX_TOKEN; `role` says which buckets that token must open (`stores.influx.layout`).
    """
    if url.startswith(SQLITE):
        return SqliteStore(Path(url.removeprefix(SQLITE)), clock, writer=writer)
    if urlsplit(url).scheme in INFLUX:
        return _open_influx(url, clock, secrets or {}, role)
    raise ConfigurationError(f"no store is known for {url!r}; an address starts with {SQLITE} or influx://")


def _open_influx(url: str, clock: Clock, secrets: Mapping[str, str], role: str) -> Store:
    parts = urlsplit(url)
    organisation, token = parts.path.strip("/"), secrets.get(TOKEN)
    if not parts.netloc or not organisation:
        raise ConfigurationError(f"{url!r} is not of the form influx://HOST:PORT/ORGANISATION")
    if not token:
        raise ConfigurationError(f"{TOKEN} is not set; `txwatch init --influx URL` makes a token")
    try:
        from txwatch.stores.influx.connection import Access  # noqa: PLC0415 - an extra, loaded where asked for
        from txwatch.stores.influx.layout import ANOMALIES, ROLES, needed_by  # noqa: PLC0415 - same
        from txwatch.stores.influx.store import InfluxStore  # noqa: PLC0415 - same
    except ImportError as error:
        raise ConfigurationError("InfluxDB needs the extra: pip install 'txwatch[influx]'") from error
    server = f"{INFLUX[parts.scheme]}://{parts.netloc}"
    pseudonym = pseudonyms_of(secrets)
    if pseudonym is None and ANOMALIES in ROLES[role].write:
        raise ConfigurationError(f"{KEY} is not set; `txwatch init` draws one, the same for all processes")
    access = Access(url=server, token=token, org=organisation)
    return InfluxStore(access, clock, pseudonym=pseudonym, buckets=needed_by(role))
