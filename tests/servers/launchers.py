"""How a server's process is started, stopped, killed and paused: as a child process or a container.

Both keep the server's data when it stops or is killed, so that it can be started again on it.
"""

import functools
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from cached_build import ServerUnavailableError, say

GRACE_SECONDS = 30
SERVER_PORTS = range(20_000, 30_000)
FORKER = ThreadPoolExecutor(max_workers=1)
"""The leash ends with the thread that started the server, so all are started by one that stays."""


class Launcher(Protocol):
    """One server process.  `log` is the file in which its output is found once it has stopped."""

    log: Path

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def signal(self, number: int) -> None: ...

    def exited(self) -> bool: ...

    def close(self) -> None: ...


class ChildProcess:
    """A server run from the cache folder.  It dies with the process that started it."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        self._command = [*_leash(), *command]
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = FORKER.submit(
                subprocess.Popen,
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop the server in order
            ).result()

    def stop(self) -> None:
        if self.exited():
            return
        self._process.terminate()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()
        elif number == signal.SIGSTOP:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def exited(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def close(self) -> None:
        self.stop()


class Container:
    """A server in a container: `run_arguments` publish its port and mount what it needs."""

    def __init__(
        self, engine: str, image: str, run_arguments: Sequence[str], command: Sequence[str], log: Path
    ) -> None:
        self.log = log
        self._engine = engine
        self._run = [*run_arguments, image, *command]
        self._id: str | None = None

    def start(self) -> None:
        if self._id is None:
            self._id = self._ask("run", "--detach", *self._run)
        else:
            self._ask("start", self._id)

    def stop(self) -> None:
        self._ask("stop", "--time", str(GRACE_SECONDS), self._id)

    def signal(self, number: int) -> None:
        self._ask("kill", "--signal", signal.Signals(number).name, self._id)

    def exited(self) -> bool:
        return self._id is None or self._ask("inspect", "--format", "{{.State.Running}}", self._id) != "true"

    def close(self) -> None:
        if self._id is None:
            return
        with self.log.open("wb") as output:
            subprocess.run([self._engine, "logs", self._id], stdout=output, stderr=output, check=False)
        self._ask("rm", "--force", "--volumes", self._id)
        self._id = None

    def _ask(self, *arguments: str) -> str:
        run = subprocess.run([self._engine, *arguments], capture_output=True, text=True, check=False)
        if run.returncode:
            raise ServerUnavailableError(f"{self._engine} {arguments[0]} failed: {run.stderr.strip()[-300:]}")
        return run.stdout.strip()


@functools.cache
def engine_with(image: str) -> str | None:
    """Return the container engine that runs here and has the image or can pull it, or None.

    TXWATCH_SERVER_ENGINE names another engine than docker or podman, or `none`.
    """
    chosen = os.environ.get("TXWATCH_SERVER_ENGINE")
    for engine in [chosen] if chosen else ["docker", "podman"]:
        if shutil.which(engine) and _succeeds(engine, "info", seconds=10):
            if _succeeds(engine, "image", "inspect", image) or _succeeds(engine, "pull", image, seconds=600):
                return engine
            say(f"{engine} runs here but cannot pull {image}; taking the package registries")
    return None


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody used a moment ago.

    They lie below those that the kernel gives to clients: a client that connects again and again to a
    server that is down would otherwise meet itself at the server's own port and keep it occupied.
    """
    candidates = random.sample(SERVER_PORTS, len(SERVER_PORTS))
    return list(itertools.islice(filter(_is_free, candidates), count))


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _succeeds(*command: str, seconds: float = 60) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _leash() -> list[str]:
    """Let the kernel kill the server when its parent dies without stopping it."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
