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
    former: "Hits | None" = None
    """While a change of rules is watched: what the rules before it hit, in the same form."""

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
        return Hits(
            matrix=np.concatenate([self.matrix, then.matrix]),
            rules=self.rules,
            features=features,
            shadow=_both(self.shadow, then.shadow),
            former=_both(self.former, then.former),
        )


def _both(first: Hits | None, then: Hits | None) -> Hits | None:
    return None if first is None or then is None else first.followed_by(then)
