"""What a change of the rules has to do with: the detector, and the ledger that keeps the versions."""

from collections.abc import Mapping
from typing import Protocol

from detectors.detection import Configuration
from detectors.guard import Guard
from txwatch.model import Anomaly, RulesVersion


class Detector(Protocol):
    """The part of the detector that this service needs."""

    @property
    def configuration(self) -> Configuration:
        """What is in force."""

    @property
    def guard(self) -> Guard:
        """What watches the last change."""

    @property
    def replaying(self) -> bool:
        """Whether rows are scored again whose results are committed already."""

    def faults(self) -> list[str]:
        """What is set aside, in sentences."""

    def change(
        self, configuration: Configuration, *, trusted: bool, planned: Mapping[str, float]
    ) -> list[str]:
        """Put another configuration into force between two batches; return what begins anew."""

    def tell(self, anomaly: Anomaly) -> None:
        """Store an anomaly about the detection itself and queue it."""


class Shelf(Protocol):
    """The part of the ledger that keeps the versions: see `txwatch.ledger.rulesshelf`."""

    def head(self) -> tuple[int, str]:
        """Return number and version of what is in force."""

    def numbered(self, number: int) -> RulesVersion | None:
        """Return the version of a number."""

    def found(self, version: str) -> RulesVersion | None:
        """Return what a version was made of."""

    def edited(self, given: RulesVersion) -> RulesVersion:
        """Keep what a file says as in force from now on."""

    def rolled_back(self, bad: str, given: RulesVersion) -> RulesVersion:
        """Keep a version out, and go back to a given one."""

    def expected(self, version: str) -> dict[str, float]:
        """Return what a plan said of a version, nothing where there was none."""

    def blocked(self) -> dict[str, str]:
        """Return the versions that stay out, and why."""

    def consider(self, path: str, digest: str) -> None:
        """Keep what stands in a file that was considered."""

    def considered(self, path: str) -> str:
        """Return what stood in a file when it was last considered."""


class RulesLedger(Protocol):
    """The part of the ledger that this service needs."""

    def rules(self) -> Shelf:
        """Return the part that keeps the versions."""

    def record(self, actor: str, action: str, facts: Mapping[str, object]) -> None:
        """Append to the audit."""
