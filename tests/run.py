"""The one test command: set up what the tests need, then run them.

    python3 tests/run.py [--servers] [pytest arguments]

Makes `.venv`, installs the pinned packages when they changed, and runs pytest.  With `--servers`, and in CI,
it first brings Chromium, PostgreSQL, Kafka and InfluxDB (see tests/servers/provide.py), and a test whose
server is missing then fails instead of being skipped.  Needs Python 3.11 or newer and nothing else; the exit
code is pytest's.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "requirements-test.txt"
STAMP = VENV / "installed.sha256"
OLDEST_PYTHON = (3, 11)
SPREAD = ["-n", "2", "--dist", "loadfile"]
"""Two workers; each starts the real servers that its files ask for once."""


def main() -> int:
    """Return pytest's exit code."""
    if sys.version_info < OLDEST_PYTHON:
        print(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}", file=sys.stderr)
        return 1
    in_ci = os.environ.get("CI", "").lower() in {"1", "true"}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--servers", action="store_true", default=in_ci, help="bring and require real servers"
    )
    options, pytest_arguments = parser.parse_known_args()
    install()
    environment = dict(os.environ)
    if options.servers:
        bring_from_debian("chromium", is_there=shutil.which("chromium") is not None)
        bring_from_debian("postgresql", is_there=bool(list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))))
        subprocess.run([PYTHON, ROOT / "tests" / "servers" / "provide.py"], check=False)
        environment["TXWATCH_REQUIRE_SERVERS"] = "1"
    command = [PYTHON, "-m", "pytest", *SPREAD, *pytest_arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def install() -> None:
    """Bring `.venv` up to date with the pins and the project file; nothing happens when it is."""
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True, clear=True)
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", REQUIREMENTS], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", ROOT], check=True)
    STAMP.write_text(wanted)


def fingerprint() -> str:
    """Return what the installed packages depend on, as one hash."""
    parts = [sys.version.encode(), REQUIREMENTS.read_bytes(), (ROOT / "pyproject.toml").read_bytes()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def bring_from_debian(package: str, *, is_there: bool) -> None:
    """Install a package that tests need where that needs no question; say so where it does."""
    if is_there:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"{package} is missing: install it for the tests that need it", file=sys.stderr)
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", package]):
        subprocess.run(["apt-get", "--quiet", "--quiet", *arguments], env=environment, check=False)


if __name__ == "__main__":
    sys.exit(main())
