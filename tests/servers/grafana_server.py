"""A Grafana of our own, started from a built one: environment and files are those of docker-compose.yml."""

import base64
import json
import re
import shutil
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
import yaml
from launchers import ChildProcess, free_ports
from running_server import RunningServer

from grafana.build import MOUNTED
from txwatch.init.secret import ASKED, GRAFANA_PASSWORD

ROOT = Path(__file__).parents[2]
PROVISIONING = ROOT / "provisioning"
PASSWORD = "only-here"
OWN_KEY = "k" * 32
VARIABLE = re.compile(r"\$\{(\w+)[^}]*\}")


class GrafanaServer(RunningServer):
    """It listens on loopback; `call` asks its HTTP API as its administrator."""

    def __init__(
        self, home: Path, folder: Path, values: dict[str, str], extra: dict[str, str] | None = None
    ) -> None:
        """`home` has a built Grafana, `folder` takes its data; it reads its own copy of `provisioning/`.

        `values` stand for what is in `.env`; `extra` is set beside, or in place of, what compose sets.
        """
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        places = {
            "GF_PATHS_DATA": folder / "data",
            "GF_PATHS_LOGS": folder / "logs",
            "GF_PATHS_PLUGINS": folder / "plugins",
            "GF_PATHS_PROVISIONING": _provisioning(folder),
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": port,
        }
        known = ASKED | {"TXWATCH_GRAFANA_ROOT_URL": f"{self.url}/"}
        known |= {GRAFANA_PASSWORD: PASSWORD, "GRAFANA_SECRET_KEY": OWN_KEY}
        composed = composed_environment(known | values)
        own = {name: str(value) for name, value in places.items()}
        command = [str(home / "bin/grafana-server"), "--homepath", str(home)]
        launcher = ChildProcess(command, folder / "grafana.log", composed | own | (extra or {}))
        super().__init__("Grafana", launcher, self._healthy)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Return the answer; raises AssertionError when it is none of success."""
        return as_administrator(self.url, PASSWORD, method, path, body, **headers)

    def _healthy(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/api/health", timeout=2) as answer:
            return answer.status == 200


def as_administrator(
    url: str, password: str, method: str, path: str, body: Any = None, **headers: str
) -> Any:
    """Return what a Grafana answers its administrator; raises AssertionError when it is none of success."""
    secret = base64.b64encode(f"admin:{password}".encode()).decode()
    answer = urllib3.request(
        method,
        url + path,
        body=json.dumps(body) if body is not None else None,
        headers={"Authorization": f"Basic {secret}", "Content-Type": "application/json", **headers},
    )
    assert answer.status < 300, f"{path}: {answer.status} {answer.data.decode()}"
    return answer.json()


def composed_environment(values: Mapping[str, str]) -> dict[str, str]:
    """Return what compose gives Grafana when these values are in `.env`."""
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    return {
        name: VARIABLE.sub(lambda found: values[found[1]], text)
        for name, text in grafana["environment"].items()
    }


def _provisioning(folder: Path) -> Path:
    """Return a copy in which the files lie where they are looked for without a container."""
    copied = shutil.copytree(PROVISIONING, folder / "provisioning")
    providers = copied / "dashboards/operations.yaml"
    providers.write_text(providers.read_text().replace(MOUNTED, str(copied)))
    return copied
