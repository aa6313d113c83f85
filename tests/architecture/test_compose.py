"""docker-compose.yml is valid, safe by default, and says what the command line understands."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from cached_build import ServerUnavailableError, is_built
from go_builds import COMPOSE_READER_FOLDER, compose_reader
from typer.main import get_command

from txwatch.cli import app
from txwatch.init.command import steps
from txwatch.init.envfile import read_env
from txwatch.init.secret import VARIABLES

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
TEXT = FILE.read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
OURS = {name: each["command"] for name, each in SERVICES.items() if "command" in each}
REFERENCE = re.compile(r"\$\{(\w+)")
PINNED = re.compile(r":\d+\.\d+\.\d+[\w.-]*$")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """What docker compose reads, with the `.env` that `txwatch init` writes: (project, variables)."""
    env = tmp_path_factory.mktemp("compose") / ".env"
    list(steps(env, None, "txwatch", dry_run=False))
    run = subprocess.run(reading(env), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout), read_env(env)


def reading(env):
    plugin = ["docker", "compose"]
    try:
        found = subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        found = False
    if found:
        return [*plugin, "--env-file", str(env), "-f", str(FILE), "config", "--format", "json"]
    return [str(reader_or_skip()), str(FILE), str(env)]


def reader_or_skip():
    required = os.environ.get("TXWATCH_REQUIRE_SERVERS", "") not in {"", "0"} or bool(os.environ.get("CI"))
    if not (required or is_built(COMPOSE_READER_FOLDER)):
        pytest.skip("neither the compose plugin nor its library is here")
    try:
        return compose_reader()
    except ServerUnavailableError as error:
        if required:
            pytest.fail(str(error))
        pytest.skip(str(error))


def test_compose_reads_the_file(loaded):
    """It is valid, and every service is there."""
    project, _ = loaded

    rooms = {"collector", "deriver", "detectors", "notifier"}
    assert set(project["services"]) == {"kafka", "influxdb", "grafana", *rooms}


def test_secrets_reach_the_services_from_the_env_file(loaded):
    """Each process gets its own token and no administrator's."""
    project, values = loaded

    environments = {name: each["environment"] for name, each in project["services"].items()}
    assert environments["influxdb"]["DOCKER_INFLUXDB_INIT_ADMIN_TOKEN"] == values["INFLUXDB_ADMIN_TOKEN"]
    for name in OURS.keys() & environments.keys():
        assert values["INFLUXDB_ADMIN_TOKEN"] not in environments[name].values()


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_command_is_one_of_the_command_line(name):
    """The real command line takes its words."""
    command, *arguments = OURS[name]

    context = get_command(app).commands[command].make_context(command, list(arguments))

    assert context.info_name == command


def test_every_variable_is_written_by_init():
    """Nobody has to think of a value."""
    assert set(REFERENCE.findall(TEXT)) <= set(VARIABLES)


def test_there_is_no_default_and_no_literal_secret():
    """A variable without a value stops the start; no secret stands in the file."""
    assert not re.search(r"\$\{\w+:?-", TEXT)
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|KEY|SECRET", variable):
                assert REFERENCE.match(value), variable


def test_images_are_pinned():
    """A version of three numbers, also for what the image is built from."""
    images = [each["image"] for each in SERVICES.values()]
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert [each for each in [*images, *bases] if not PINNED.search(each)] == []


def test_ports_are_on_loopback():
    """Nothing listens beyond this machine."""
    ports = [port for each in SERVICES.values() for port in each.get("ports", ())]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_service_is_checked_limited_and_restarted():
    """A dead one is seen, none eats the machine, and each comes back."""
    for name, each in SERVICES.items():
        limits = each["deploy"]["resources"]["limits"]
        assert each["healthcheck"]["test"], name
        assert {"cpus", "memory"} <= set(limits), name
        assert each["restart"] == "unless-stopped", name


def test_the_image_does_not_run_as_root():
    """The last user named is not root."""
    users = re.findall(r"^USER (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert users[-1:] == ["txwatch"]


def test_influxdb_is_hardened():
    """Without it a read token may call any address from a query."""
    assert SERVICES["influxdb"]["environment"]["INFLUXD_HARDENING_ENABLED"] == "true"
