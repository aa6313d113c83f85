"""The service that lets the model count that a person wants, and says which one counts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from detectors.troubles import unusable_model
from txwatch.errors import SnapshotError
from txwatch.model import Anomaly
from txwatch.ports import ChangeStore, Clock, Health, Progress
from txwatch.registry import ModelChange, ModelEvent, ModelOrder, ModelState, RegisteredModel

READER = "models"
"""Under this name the ledger keeps how far orders are carried out."""
EVERY = timedelta(seconds=1)


class Detector(Protocol):
    """The part of the detector that this service needs."""

    @property
    def replaying(self) -> bool:
        """Whether rows are scored again whose results are committed already."""

    def install(self, name: str, payload: bytes, *, held: bool) -> None:
        """Let a kept model count from the next batch on."""

    def tell(self, anomaly: Anomaly) -> None:
        """Store an anomaly about the detection itself and queue it."""


class Shelf(Protocol):
    """The part of the ledger that keeps models."""

    def listed(self) -> list[RegisteredModel]:
        """Return every model, the newest first."""

    def payload(self, number: int) -> bytes:
        """Return a kept model; raises SnapshotError where there is none, or it is damaged."""

    def orders(self, after: int) -> list[ModelOrder]:
        """Return orders beyond a number."""

    def changed(self, changes: Sequence[ModelChange], actor: str) -> list[ModelChange]:
        """Keep what happened to models."""


class ModelLedger(Protocol):
    """The part of the ledger that this service needs."""

    def models(self) -> Shelf:
        """Return the part that keeps models."""

    def queue_position(self, name: str) -> int:
        """Return how far a reader has come."""

    def advance(self, name: str, number: int) -> None:
        """Record how far a reader has come."""


class ModelsService:
    """Carries out `txwatch models promote` and `rollback` between two batches, and marks every change.

    A model that is missing, damaged or of another shape changes nothing: the one that counts stays, and
    everybody is told (health, audit, a mark on the dashboards, an anomaly of type configuration).
    """

    name = "models"

    def __init__(
        self, detector: Detector, ledger: ModelLedger, clock: Clock, *, store: ChangeStore | None = None
    ) -> None:
        """`store` takes the marks for dashboards."""
        self._detector, self._ledger, self._clock, self._store = detector, ledger, clock, store
        self._shelf = ledger.models()
        self._looked_at: datetime | None = None
        self._known: list[RegisteredModel] = []
        self._fault = ""

    def step(self) -> Progress:
        """Look once a second; carry out one order at most."""
        now = self._clock.now()
        if self._detector.replaying or (self._looked_at is not None and now - self._looked_at < EVERY):
            return Progress(handled=0, finished=True)
        self._looked_at = now
        orders = self._shelf.orders(self._ledger.queue_position(READER))
        if orders:
            self._carry_out(orders[0])
            self._ledger.advance(READER, orders[0].number)
        self._mark(self._shelf.listed())
        return Progress(handled=len(orders[:1]), finished=True, waiting=len(orders) > 1)

    def health(self) -> Health:
        """Return which model counts; degraded while the last order could not be carried out."""
        champions = [model for model in self._known if model.state is ModelState.CHAMPION]
        said = ", ".join(f"{model.name}: model {model.number} counts" for model in champions)
        states = {state: sum(model.state is state for model in self._known) for state in ModelState}
        now = self._clock.now().timestamp()
        ages = {"champion_age_seconds": max(now - model.since for model in champions)} if champions else {}
        return Health(
            name=self.name,
            state="degraded" if self._fault else "ok",
            sentence=self._fault or said or "no model is fitted yet",
            figures={f"{state.value}s": float(count) for state, count in states.items()} | ages,
        )

    def close(self) -> None:
        """Nothing is held: what is ordered is carried out at the next start."""

    def _carry_out(self, order: ModelOrder) -> None:
        try:
            model = next((each for each in self._shelf.listed() if each.number == order.model), None)
            payload = self._shelf.payload(order.model)
            assert model is not None
            self._detector.install(model.name, payload, held=order.held)
        except SnapshotError as error:
            self._refuse(order, str(error))
            return
        self._fault = ""
        held = "; none replaces it by itself" if order.held else ""
        self._note(model, ModelEvent.PROMOTED, f"{order.reason}{held}", order.actor)

    def _refuse(self, order: ModelOrder, fault: str) -> None:
        self._fault = f"model {order.model} cannot count, the one before stays: {fault}"
        self._detector.tell(unusable_model(order.number, self._fault, self._clock.now()))
        for model in self._known:
            if model.number == order.model:
                self._note(model, ModelEvent.REFUSED, self._fault, order.actor)
        self._put("model refused", str(order.model), self._fault)

    def _note(self, model: RegisteredModel, event: ModelEvent, sentence: str, actor: str) -> None:
        change = ModelChange(
            name=model.name,
            version=model.version,
            event=event,
            at=self._clock.now(),
            sentence=sentence,
            facts={},
        )
        self._shelf.changed([change], actor)

    def _mark(self, known: list[RegisteredModel]) -> None:
        """Mark what counts now and did not when this was asked last."""
        before = {model.number for model in self._known if model.state is ModelState.CHAMPION}
        for model in known:
            if model.state is ModelState.CHAMPION and model.number not in before:
                sentence = f"{model.name}: model {model.number} counts ({model.sentence})"
                self._put("model", model.version, sentence)
        self._known = known

    def _put(self, kind: str, version: str, sentence: str) -> None:
        if self._store is not None and self._store.versions_in_use().get(kind) != version:
            self._store.put_change(kind, version, sentence, self._clock.now())
