"""A real PostgreSQL on loopback, from Debian's package or whatever is on PATH; a database for each test."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import psycopg
from cached_build import ServerUnavailableError
from launchers import ChildProcess, free_ports
from running_server import RunningServer

SETTINGS = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "max_connections": "40"}
"""No test cuts the power."""


class PostgresServer(RunningServer):
    """PostgreSQL; `data` goes with it."""

    def __init__(self, launcher: ChildProcess, port: int, data: Path) -> None:
        super().__init__("PostgreSQL", launcher, self._answers)
        self._port, self._data = port, data

    def new_database(self) -> str:
        """Return the address of an empty database."""
        name = f"txwatch_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._address(name)

    def stop(self) -> None:
        """Stop it in order, without waiting for clients to leave (SIGINT); its data stays."""
        self._launcher.signal(signal.SIGINT)
        while not self._launcher.exited():
            time.sleep(0.02)

    def close(self) -> None:
        """Stop it for good, and leave nothing."""
        self.stop()
        super().close()
        shutil.rmtree(self._data, ignore_errors=True)

    def _address(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._address("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def start_postgres(folder: Path) -> PostgresServer:
    """Start PostgreSQL with its log in `folder`; raises ServerUnavailableError where it is not installed."""
    programs = postgres_programs()
    if programs is None:
        raise ServerUnavailableError("PostgreSQL is not here; install Debian's package postgresql")
    data = Path(tempfile.mkdtemp(prefix="txwatch-postgres-"))
    user = _not_root(data)
    own = data / "data"
    initialise = [programs / "initdb", "-D", own, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
    subprocess.run([*user, *map(str, initialise), "--no-sync"], check=True, capture_output=True, cwd=data)
    (port,) = free_ports(1)
    options = [f"-c{name}={value}" for name, value in SETTINGS.items()]
    where = ["-D", str(own), "-p", str(port), "-h", "127.0.0.1", "-k", str(data)]
    command = [*user, str(programs / "postgres"), *where, *options]
    server = PostgresServer(ChildProcess(command, folder / "postgres.log"), port, data)
    server.start()
    return server


def postgres_programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest version's, None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts[-3].zfill(4))
    there = shutil.which("initdb")
    return found[-1].parent if found else (Path(there).resolve().parent if there else None)


def _not_root(data: Path) -> Sequence[str]:
    """Return what to put before a command so that it does not run as root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError as error:
        raise ServerUnavailableError(
            "PostgreSQL does not run as root, and no user postgres is here"
        ) from error
    os.chown(data, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
