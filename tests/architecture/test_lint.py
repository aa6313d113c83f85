"""Types and lint rules are part of the one test command."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "arguments",
    [["mypy"], ["ruff", "check"], ["ruff", "format", "--check"]],
    ids=["mypy", "ruff-check", "ruff-format"],
)
def test_the_checkout_is_clean(arguments):
    """Mypy strict, every ruff rule less the argued exceptions, and the formatter agree with the code."""
    run = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stdout + run.stderr
