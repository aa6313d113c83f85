"""What was found in Grafana, what is changed there, and what only a person can mend."""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar

T = TypeVar("T")

State = Literal["found", "done", "would", "fault"]


class Step(NamedTuple):
    """One thing that is there, was done, would be done, or is wrong."""

    state: State
    sentence: str


class Work:
    """Collects a sentence for each thing; a dry run changes nothing and says what it would change."""

    def __init__(self, *, dry_run: bool, tell: Callable[[Step], None] = lambda _: None) -> None:
        """`tell` hears of each step as soon as it is done."""
        self.dry_run = dry_run
        self.steps: list[Step] = []
        self._tell = tell

    def found(self, sentence: str) -> None:
        """Note what is as it should be."""
        self._note(Step("found", sentence))

    def change(self, sentence: str, act: Callable[[], T]) -> T | None:
        """Do it and note it; a dry run notes it only."""
        done = None if self.dry_run else act()
        self._note(Step("would" if self.dry_run else "done", sentence))
        return done

    def fault(self, sentence: str) -> None:
        """Note what is wrong and not for us to change."""
        self._note(Step("fault", sentence))

    @property
    def differing(self) -> list[Step]:
        """What was not as it should be."""
        return [step for step in self.steps if step.state != "found"]

    def _note(self, step: Step) -> None:
        self.steps.append(step)
        self._tell(step)
