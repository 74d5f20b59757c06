"""Storage tiers: where rows lie by age. Nothing moves or is deleted unless this is applied."""

from __future__ import annotations

from dataclasses import dataclass

from clickhouse_driver import Client

from infra.clickhouse.migrate import MigrationError, said_plainly

# What a row's age is counted from, by table.
_AGES = {
    "events": "occurred_at",
    "features": "written_at",
    "raw_archive": "appended_at",
    "decisions": "received_at",
    "dead_letters": "written_at",
    "dead_letter_states": "changed_at",
    "dead_letter_repairs": "made_at",
    "events_per_minute": "minute",
}
# Days after which a table's rows are deleted whatever the tiers say: its migration says why.
KEPT_AT_MOST = {
    "features": 120,
    "decisions": 400,
    "dead_letters": 400,
    "dead_letter_states": 400,
    "dead_letter_repairs": 400,
}


@dataclass(frozen=True, slots=True)
class Tiers:
    """Days after which rows go to the volumes ``warm`` and ``cold`` and are deleted; None: never.

    ``policy`` names a storage policy of the server whose volumes are ``default`` (the hot one), ``warm`` and
    ``cold``; without one, rows stay where they are and only ``keep_days`` may be given.
    """

    policy: str | None = None
    warm_days: int | None = None
    cold_days: int | None = None
    keep_days: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant (ValueError)."""
        if self.policy is None and (self.warm_days or self.cold_days):
            raise ValueError("rows can only go to warm and cold volumes of a storage policy: name one")
        days = [days for days in (self.warm_days, self.cold_days, self.keep_days) if days is not None]
        if any(day < 1 for day in days) or days != sorted(set(days)):
            raise ValueError("days must grow from warm to cold to deletion, and be at least 1")

    def statements(self) -> list[str]:
        """Return the statements, each harmless when repeated."""
        return [statement for table, column in _AGES.items() for statement in self._of(table, column)]

    def _of(self, table: str, column: str) -> list[str]:
        age = f"toDateTime({column}) + INTERVAL"
        kept = min((days for days in (self.keep_days, KEPT_AT_MOST.get(table)) if days is not None), default=None)
        moves = [
            f"{age} {days} DAY {action}"
            for days, action in ((self.warm_days, "TO VOLUME 'warm'"), (self.cold_days, "TO VOLUME 'cold'"))
            if days is not None and (kept is None or days < kept)
        ]
        if kept is not None:
            moves.append(f"{age} {kept} DAY DELETE")
        found = []
        if self.policy is not None:
            found.append(f"ALTER TABLE {table} MODIFY SETTING storage_policy = '{self.policy}'")
        if moves:
            found.append(f"ALTER TABLE {table} MODIFY TTL {', '.join(moves)}")
        return found


def apply_tiers(url: str, tiers: Tiers) -> list[str]:
    """Apply the tiers to all tables; return what was run. MigrationError says what the server refused."""
    if tiers.policy is not None and not tiers.policy.replace("_", "").isalnum():
        raise MigrationError(f"{tiers.policy!r} is no name of a storage policy")
    with said_plainly(url):
        client = Client.from_url(url)
        try:
            for statement in tiers.statements():
                client.execute(statement)
        finally:
            client.disconnect()
    return tiers.statements()
