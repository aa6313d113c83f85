"""What becomes of an edited rules file that is in order: a pure decision, with its reason."""

import hashlib
from enum import StrEnum

import msgspec

from detectors.detection import Configuration


class Fate(StrEnum):
    """What becomes of it."""

    SAME = "same"
    TAKEN = "taken"
    REFUSED = "refused"
    WAITS = "waits"
    PASSED_OVER = "passed over"


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What an edit is held against."""

    version: str
    """In force, or about to be."""
    number: int
    considered: str
    """The digest of the file when it was last considered."""
    blocked: dict[str, str]
    """Versions that stay out, and why."""
    require_apply: bool


def digest_of(configuration: Configuration) -> str:
    """Return a hash of everything that stands in a rules file and in the lists beside it."""
    digest = hashlib.sha256(configuration.content)
    for name, content in sorted(configuration.beside.items()):
        digest.update(f"\0{name}\0".encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()


def fate_of(wanted: Configuration, known: Known) -> tuple[Fate, str]:
    """Return what becomes of the rules of a file, and why."""
    if wanted.version == known.version:
        return Fate.SAME, "the file says what is in force"
    if wanted.version in known.blocked:
        why = known.blocked[wanted.version]
        return Fate.REFUSED, f"rules {wanted.version} were rolled back and stay out: {why}"
    if known.require_apply:
        return Fate.WAITS, f"rules {wanted.version} in the file wait for `txwatch rules apply`"
    if digest_of(wanted) == known.considered:
        return Fate.PASSED_OVER, f"number {known.number} was put into force since the file was saved"
    return Fate.TAKEN, "the file was edited"
