"""A real InfluxDB 2 on loopback, set up with an organisation and an operator token."""

import json
import secrets
import urllib.request
from http import HTTPStatus
from pathlib import Path

from cached_build import ServerUnavailableError
from launchers import ChildProcess, Container, Launcher, engine_with, free_ports
from registry_builds import INFLUXDB_VERSION, influxd
from running_server import RunningServer

IMAGE = f"influxdb:{INFLUXDB_VERSION}"
CONTAINER_PORT = 8086
SETTINGS = (
    "--reporting-disabled",
    "--hardening-enabled",
    "--pprof-disabled",
    "--log-level=warn",
    "--storage-cache-snapshot-memory-size=67108864",
)
GARBAGE = {"GOGC": "300", "GOMEMLIMIT": "3GiB"}
"""What docker-compose.yml sets as well."""


class InfluxdbServer(RunningServer):
    """InfluxDB; `token` is the operator's, which may do everything in every organisation."""

    def __init__(self, launcher: Launcher, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.org = "txwatch"
        self.token = secrets.token_urlsafe(24)
        super().__init__("InfluxDB", launcher, self._healthy)

    def new_org(self) -> str:
        """Make an organisation with a name of its own, so that tests do not see each other's buckets."""
        name = f"org-{secrets.token_hex(6)}"
        self._post("/api/v2/orgs", {"name": name})
        return name

    def set_up(self) -> None:
        """Make the first user, organisation, bucket and token, as an administrator does once."""
        self._post(
            "/api/v2/setup",
            {
                "username": "admin",
                "password": secrets.token_urlsafe(16),
                "org": self.org,
                "bucket": "scratch",
                "token": self.token,
            },
        )

    def _healthy(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
            return answer.status == HTTPStatus.OK

    def _post(self, path: str, body: dict[str, str]) -> None:
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Token {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            if answer.status != HTTPStatus.CREATED:
                raise ServerUnavailableError(f"InfluxDB refused {path}: {answer.status}")


def start_influxdb(folder: Path) -> InfluxdbServer:
    """Start InfluxDB with its data and log in `folder`.

    Raises ServerUnavailableError where it cannot be had.
    """
    (port,) = free_ports(1)
    engine = engine_with(IMAGE)
    launcher = _container(engine, folder, port) if engine else _child_process(folder, port)
    server = InfluxdbServer(launcher, port)
    server.start()
    server.set_up()
    return server


def provide_influxdb() -> str:
    """Bring what `start_influxdb` needs; returns where from."""
    engine = engine_with(IMAGE)
    if engine:
        return f"{engine} image {IMAGE}"
    return str(influxd())


def _child_process(folder: Path, port: int) -> Launcher:
    places = {
        "--http-bind-address": f"127.0.0.1:{port}",
        "--bolt-path": folder / "influxd.bolt",
        "--sqlite-path": folder / "influxd.sqlite",
        "--engine-path": folder / "engine",
    }
    arguments = [str(part) for option in places.items() for part in option]
    command = [
        str(influxd()),
        "run",
        *arguments,
        *SETTINGS,
    ]
    return ChildProcess(command, folder / "influxdb.log", GARBAGE)


def _container(engine: str, folder: Path, port: int) -> Launcher:
    publish = ["--publish", f"127.0.0.1:{port}:{CONTAINER_PORT}"]
    publish += [part for name, value in GARBAGE.items() for part in ("--env", f"{name}={value}")]
    command = ["influxd", "run", *SETTINGS]
    return Container(engine, IMAGE, publish, command, folder / "influxdb.log")
