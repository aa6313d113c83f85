"""The part of the ledger that keeps the numbered versions of `rules.yaml`: the newest one is in force."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import msgspec
from sqlalchemy.engine import Connection

from txwatch.ledger import audit, rulesproposals, rulesversions
from txwatch.ledger.rulesproposals import Decision
from txwatch.model import RulesProposal, RulesVersion

Opened = Callable[[], AbstractContextManager[Connection]]


class RulesShelf:
    """Each method is one transaction.

    What is decided is appended; running detectors follow the newest number.  A version that is blocked
    stays out until somebody applies it all the same.
    """

    def __init__(self, reading: Opened, writing: Opened, now: Callable[[], float]) -> None:
        self._reading, self._writing, self._now = reading, writing, now

    def head(self) -> tuple[int, str]:
        """Return number and version of what is in force, (0, "") before the first."""
        with self._reading() as connection:
            return rulesversions.newest_number(connection)

    def newest(self, limit: int = 100) -> list[RulesVersion]:
        """Return the versions that came into force, the newest first."""
        with self._reading() as connection:
            return rulesversions.newest(connection, limit)

    def numbered(self, number: int) -> RulesVersion | None:
        """Return the version of a number."""
        with self._reading() as connection:
            return rulesversions.numbered(connection, number)

    def found(self, version: str) -> RulesVersion | None:
        """Return what a version was made of, None for one that never was in force."""
        with self._reading() as connection:
            return rulesversions.find(connection, version)

    def edited(self, given: RulesVersion) -> RulesVersion:
        """Keep what a file says as in force from now on, unless it is already; return it with its number."""
        with self._writing() as connection:
            head, version = rulesversions.newest_number(connection)
            if version == given.version:
                return rulesversions.numbered(connection, head) or given
            return self._appended(connection, given, "rules in use")

    def applied(self, given: RulesVersion, action: str = "rules applied") -> RulesVersion:
        """Keep what somebody put into force, unless it is already, word for word; what was blocked is not.

        Returns it with its number.
        """
        with self._writing() as connection:
            for newest in rulesversions.newest(connection, 1):
                if newest.content == given.content and newest.beside == given.beside:
                    return newest
            let_in = {"unblocked": True} if rulesversions.unblock(connection, given.version) else {}
            return self._appended(connection, given, action, **let_in)

    def propose(self, given: RulesVersion) -> RulesProposal:
        """Keep what somebody else has to approve."""
        with self._writing() as connection:
            base, _ = rulesversions.newest_number(connection)
            kept = rulesproposals.append(connection, self._now(), given, base)
            facts = {"proposal": kept.number, "version": given.version, "reason": given.reason}
            audit.append(connection, self._now(), given.actor, "rules proposed", facts)
            return kept

    def proposals(self) -> list[RulesProposal]:
        """Return what was proposed, the newest first."""
        with self._reading() as connection:
            return rulesproposals.newest(connection)

    def decided(self, number: int, actor: str, reason: str, *, approved: bool) -> RulesVersion | None:
        """Approve or reject a proposal as somebody else; return the version that comes into force by that.

        Raises UsageError where there is nothing to decide, DeniedError where this one may not.
        """
        with self._writing() as connection:
            head, _ = rulesversions.newest_number(connection)
            found = rulesproposals.decidable(connection, number, actor, head, approved=approved)
            decision: Decision = "approved" if approved else "rejected"
            rulesproposals.decide(connection, number, decision, actor)
            facts = {"proposal": number, "version": found.wanted.version, "reason": reason}
            audit.append(connection, self._now(), actor, f"rules {decision}", facts)
            if not approved:
                return None
            rulesversions.unblock(connection, found.wanted.version)
            told = f"{found.wanted.reason} (approved by {actor}: {reason})"
            given = msgspec.structs.replace(found.wanted, reason=told)
            return self._appended(connection, given, "rules applied", proposal=number)

    def rolled_back(self, bad: str, given: RulesVersion) -> RulesVersion:
        """Keep the version `bad` out, and go back to a given one; its reason says why."""
        with self._writing() as connection:
            rulesversions.block(connection, self._now(), bad, given.reason)
            return self._appended(connection, given, "rules rolled back", blocked=bad)

    def blocked(self) -> dict[str, str]:
        """Return the versions that stay out, and why."""
        with self._reading() as connection:
            return rulesversions.blocked(connection)

    def expect(self, version: str, shares: Mapping[str, float]) -> None:
        """Keep which shares of transactions a plan says will be anomalies under a version."""
        with self._writing() as connection:
            rulesversions.expect(connection, version, shares)

    def expected(self, version: str) -> dict[str, float]:
        """Return what a plan said of a version, nothing where there was none."""
        with self._reading() as connection:
            return rulesversions.expected(connection, version)

    def consider(self, path: str, digest: str) -> None:
        """Keep what stands in a file that was considered, whatever was decided."""
        with self._writing() as connection:
            rulesversions.consider(connection, path, digest)

    def considered(self, path: str) -> str:
        """Return what stood in a file when it was last considered, empty before the first time."""
        with self._reading() as connection:
            return rulesversions.considered(connection, path)

    def _appended(
        self, connection: Connection, given: RulesVersion, action: str, **facts: str | bool | int
    ) -> RulesVersion:
        before, _ = rulesversions.newest_number(connection)
        kept = rulesversions.append(connection, self._now(), given)
        told = {"version": kept.version, "number": kept.number, "before": before, "reason": kept.reason}
        audit.append(connection, self._now(), kept.actor, action, told | facts)
        return kept
