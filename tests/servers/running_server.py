"""A real server on loopback that tests may stop, kill, pause and start again on the same port."""

import signal
import time
from collections.abc import Callable

from cached_build import ServerUnavailableError
from launchers import Launcher

START_SECONDS = 60


class RunningServer:
    """A launched server and the question that tells whether it answers.

    stop: as an administrator would (SIGTERM).  kill: as a power cut would (SIGKILL); what it had not
    written is lost.  pause and resume: it hangs without closing a connection (SIGSTOP, SIGCONT).
    """

    def __init__(self, name: str, launcher: Launcher, answers: Callable[[], bool]) -> None:
        self.name = name
        self._launcher = launcher
        self._answers = answers

    @property
    def log(self) -> str:
        """Return the file in which the server's output is kept."""
        return str(self._launcher.log)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._launcher.start()
        self.wait_until_ready()

    def stop(self) -> None:
        """Stop it in order; its data stays."""
        self._launcher.stop()

    def kill(self) -> None:
        """Kill it; its data stays as it was on disk."""
        self._launcher.signal(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it, start it again and wait until it answers."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it hang."""
        self._launcher.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._launcher.signal(signal.SIGCONT)

    def close(self) -> None:
        """Stop it for good; safe to call twice."""
        self._launcher.close()

    def wait_until_ready(self) -> None:
        """Return when it answers; raises ServerUnavailableError when it ends or stays silent."""
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self._launcher.exited() or time.monotonic() > deadline:
                self.close()
                raise ServerUnavailableError(f"{self.name} did not come up; its output is in {self.log}")
            time.sleep(0.05)

    def ready(self) -> bool:
        """Ask it once whether it answers."""
        try:
            return self._answers()
        except OSError:
            return False
