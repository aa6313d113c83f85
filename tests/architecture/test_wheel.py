"""What is installed is what is meant to be installed."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = {"txwatch", "collector", "detectors", "alerts", "grafana"}


def test_the_wheel_holds_the_five_rooms_and_nothing_else(tmp_path):
    """No tests, no benchmarks, no generated files; every Python file of a room is in it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    modules = {name for name in names if name.endswith(".py")}

    assert {n.split("/")[0] for n in names if not n.split("/")[0].endswith(".dist-info")} == ROOMS
    assert modules == {str(p.relative_to(ROOT)) for room in ROOMS for p in (ROOT / room).rglob("*.py")}
