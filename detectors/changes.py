"""Which rules and which code detect: told to the store when they are others than before."""

from collections.abc import Mapping
from datetime import datetime

from txwatch.ports import ChangeStore


def note_changes(store: ChangeStore, versions: Mapping[str, str], at: datetime) -> list[str]:
    """Write what is in use from now on, if it is not in use already; return the kinds that changed."""
    before = store.versions_in_use()
    changed = [kind for kind, version in versions.items() if before.get(kind) != version]
    for kind in changed:
        old, new = before.get(kind), versions[kind]
        sentence = f"{kind} {new} instead of {old}" if old else f"{kind} {new}, the first"
        store.put_change(kind, new, sentence, at)
    return changed
