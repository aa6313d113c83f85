"""What a change of rules replaced, for the comparison while the change is watched."""

import msgspec

from detectors.rules.spec import RuleSpec


class Former(msgspec.Struct, frozen=True, kw_only=True):
    """What a change replaced, where it changed nothing but rules."""

    changed: tuple[str, ...]
    """Ids of rules that are new, gone, or detect otherwise."""
    rules: tuple[RuleSpec, ...]
    """Those of them that were live before, as they were, if what they read is still the same."""
