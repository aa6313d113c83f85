"""`txwatch init` makes secrets and buckets once, and never touches what is there."""

import json
import stat

import pytest
import typer
from influxdb_server import start_influxdb
from typer.testing import CliRunner

from txwatch.clock import SystemClock
from txwatch.errors import StoreBusyError, StoreError, UsageError
from txwatch.init import command
from txwatch.init.envfile import read_env, write_env
from txwatch.init.secret import DRAWN, TOKENS, VARIABLES
from txwatch.stores.influx.connection import Access, Connection
from txwatch.stores.influx.onboarding import is_fresh


@pytest.fixture
def env(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".env"


def lines(env, influx=None, org="txwatch", **options):
    return list(command.steps(env, influx, org, dry_run=options.get("dry_run", False)))


def states(found):
    return {line.state for line in found}


def test_secrets_are_long_different_and_only_the_owners(env, tmp_path):
    """Two installations share no secret, and nobody else may read the file."""
    other = tmp_path / "other.env"
    lines(env)
    lines(other)
    first, second = read_env(env), read_env(other)

    assert set(first) == set(VARIABLES)
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert all(len(first[name]) >= 22 and first[name] != second[name] for name in DRAWN)


def test_a_second_run_finds_everything_and_changes_nothing(env):
    """Not a byte of the file differs."""
    lines(env)
    before = env.read_bytes()

    assert states(lines(env)) == {"found"}
    assert env.read_bytes() == before


def test_what_somebody_wrote_stays(env):
    """Own variables, comments and an own password survive; only what is missing is added."""
    env.write_text("# ours\nTXWATCH_HOME=/data\nINFLUXDB_ADMIN_PASSWORD=chosen\n")
    env.chmod(0o644)
    lines(env)

    assert env.read_text().startswith("# ours\nTXWATCH_HOME=/data\nINFLUXDB_ADMIN_PASSWORD=chosen\n")
    assert stat.S_IMODE(env.stat().st_mode) == 0o600


def test_a_dry_run_writes_nothing(env):
    """It says what it would do."""
    assert states(lines(env, dry_run=True)) == {"would"}
    assert not env.exists()


def test_the_command_prints_a_line_for_each_thing_and_no_secret(env):
    """What a person or a log sees holds no value of the file."""
    app = typer.Typer()
    app.callback()(lambda: None)
    command.mount(app)

    result = CliRunner().invoke(app, ["init", "--json"])

    assert [json.loads(line)["state"] for line in result.output.splitlines()] == ["done"] * len(DRAWN)
    assert not any(value and value in result.output for value in read_env(env).values())


def test_buckets_and_tokens_are_made_once(env, influxdb):
    """A dry run changes nothing, the first run makes everything, the second finds it."""
    lines(env)
    write_env(env, {"INFLUXDB_ADMIN_TOKEN": influxdb.token})
    org = influxdb.new_org()
    planned = lines(env, influxdb.url, org, dry_run=True)
    made = lines(env, influxdb.url, org)
    before = env.read_bytes()
    again = lines(env, influxdb.url, org)

    tells = [line.sentence for line in planned if line.state == "would"]
    assert tells == [line.sentence for line in made if line.state == "done" and " written to " not in line[1]]
    assert states(again) == {"found"}
    assert env.read_bytes() == before
    assert all(read_env(env)[name] for name in TOKENS.values())


def test_a_written_token_has_the_rights_of_its_role(env, influxdb):
    """The collector's may write transactions and not anomalies."""
    lines(env)
    write_env(env, {"INFLUXDB_ADMIN_TOKEN": influxdb.token})
    org = influxdb.new_org()
    lines(env, influxdb.url, org)
    access = Access(url=influxdb.url, token=read_env(env)["TXWATCH_INFLUX_TOKEN_COLLECTOR"], org=org)
    connection = Connection(access, SystemClock())

    connection.write("transactions", b"probe value=1")
    with pytest.raises(StoreError, match="refuses"):
        connection.write("anomalies", b"probe value=1")
    connection.close()


def test_a_new_server_gets_its_administrator(env, influxdb, tmp_path, monkeypatch):
    """An InfluxDB that nobody set up takes the password and token of the file."""
    monkeypatch.setattr("influxdb_server.InfluxdbServer.set_up", lambda self: None)
    (tmp_path / "server").mkdir()
    server = start_influxdb(tmp_path / "server")
    try:
        fresh = is_fresh(server.url)
        made = lines(env, server.url)

        assert fresh
        assert "admin token made" in " ".join(line.sentence for line in made)
        assert not is_fresh(server.url)
        assert states(lines(env, server.url)) == {"found"}
    finally:
        server.close()


def test_an_address_that_is_none_is_a_usage_error(env):
    """And one where nobody listens says so."""
    with pytest.raises(UsageError, match="http://"):
        lines(env, "127.0.0.1:8086")
    with pytest.raises(StoreBusyError, match="does not answer"):
        lines(env, "http://127.0.0.1:9")
