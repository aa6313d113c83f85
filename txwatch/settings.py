"""Settings: where things are.  From the environment (`TXWATCH_*`) and `.env`; never secrets in code.

What administrators tune lives in `rules.yaml` instead; the line between the two is that a setting
differs from machine to machine, a rule does not.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec
from dotenv import dotenv_values

from txwatch.errors import ConfigurationError

PREFIX = "TXWATCH_"
SCORED_TOGETHER = 5_000
"""Half as fast again as 1,000, whose fixed work weighs as much as their rows."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting, with its default.  Each is the environment variable TXWATCH_<NAME>."""

    home: str = ".txwatch"
    """Folder of the embedded store, the ledger, snapshots and models."""
    store: str = ""
    """Store address; empty is the embedded file `<home>/store.db`."""
    ledger: str = ""
    """Ledger address, such as postgresql://USER:PASSWORD@HOST/DATABASE; empty is `<home>/ledger.db`."""
    source: str = ""
    """What `run` and `collect` read when no source is given on the command line."""
    rules: str = "rules.yaml"
    """The rules file."""
    require_apply: bool = False
    """Whether an edited rules file waits for `txwatch rules apply`."""
    schema: str = ""
    """Schema file of the producer; empty is the built-in schema."""
    snapshot_seconds: float = 10.0
    """How often detectors persist their state."""
    batch: int = 1000
    """Transactions taken in together."""
    log_format: Literal["text", "json"] = "text"
    """How long-running commands log: lines for people, or an object a line for programs."""

    @property
    def scored_together(self) -> int:
        """How many transactions are scored together at most: what has come, or the next of a file."""
        return max(self.batch, SCORED_TOGETHER)

    @property
    def store_url(self) -> str:
        """The store's address, the embedded default included."""
        return self.store or f"sqlite:///{self.home_path / 'store.db'}"

    @property
    def ledger_url(self) -> str:
        """The ledger's address, the embedded default included."""
        return self.ledger or f"sqlite:///{self.home_path / 'ledger.db'}"

    @property
    def home_path(self) -> Path:
        """The folder of everything that is kept on this machine."""
        return Path(self.home)


def current_settings() -> Settings:
    """Return the settings of this process: the environment first, then `.env` in the current folder."""
    return from_environment(current_environment())


def current_environment() -> dict[str, str]:
    """Return every variable of this process, and those of `.env` that it does not have itself."""
    file = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    return file | dict(os.environ)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Return the settings found in `environment`; raises ConfigurationError naming a bad variable."""
    values = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).lower() in Settings.__struct_fields__
    }
    try:
        return msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"a TXWATCH_ environment variable is wrong: {error}") from error
