"""Which rules hold for which rows of one frame."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from detectors.rules.rule import Rule
from detectors.types import Flags, Floats


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """Which rules hold for which rows of one frame.

    The rules are the live ones; `shadow` has those that are only watched, in the same form.
    """

    matrix: Flags
    """Shape (rows, rules)."""
    rules: tuple[Rule, ...]
    features: dict[str, Floats]
    """The declared features of each row, by name; NaN where there is none."""
    shadow: "Hits | None" = None

    @property
    def ids(self) -> Sequence[str]:
        """Shape (rules,): the rules' ids, in the order of the matrix."""
        return [rule.spec.id for rule in self.rules]

    @property
    def severities(self) -> npt.NDArray[np.int8]:
        """Shape (rules,): the floor that a hit puts under the anomaly."""
        return np.array([int(rule.severity) for rule in self.rules], dtype=np.int8)

    def followed_by(self, then: "Hits") -> "Hits":
        """Return these rows and those after them, of the same book, as one."""
        features = {
            name: np.concatenate([column, then.features[name]]) for name, column in self.features.items()
        }
        shadow = None if self.shadow is None or then.shadow is None else self.shadow.followed_by(then.shadow)
        matrix = np.concatenate([self.matrix, then.matrix])
        return Hits(matrix=matrix, rules=self.rules, features=features, shadow=shadow)
