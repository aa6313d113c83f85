"""The ledger's tables."""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

layout = Table("layout", metadata, Column("version", Integer, nullable=False))
"""One row: the version of these tables."""

positions = Table(
    "positions",
    metadata,
    Column("source", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next", BigInteger, nullable=False),
)
"""Where the collector goes on reading: the next sequence of each partition."""

cursors = Table(
    "cursors",
    metadata,
    Column("consumer", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("arrival", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)
"""How far each consumer of the feed has committed its results."""

coverage = Table(
    "coverage",
    metadata,
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False, index=True),
    Column("document", LargeBinary, nullable=False),
)
"""What became of each window of event time, by detector; the revision grows with each change."""

discoveries = Table(
    "discoveries",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("anomaly_id", String, nullable=False, index=True),
    Column("severity", Integer, nullable=False),
    Column("discovered_at", Float, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
"""Anomalies in order of discovery: what the notifier reads."""

offsets = Table(
    "offsets",
    metadata,
    Column("name", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
"""How far each reader of the discoveries has come."""

snapshots = Table(
    "snapshots",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("consumer", String, nullable=False, index=True),
    Column("file", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("version", String, nullable=False),
    Column("cursors", Text, nullable=False),
    Column("taken_at", Float, nullable=False),
    Column("act", BigInteger, nullable=False, server_default="0"),
)
"""Which files hold a consumer's state, the cursors that belong to each, and the last act that is in it."""

acts = Table(
    "acts",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("consumer", String, nullable=False, index=True),
    Column("at", Float, nullable=False),
    Column("cursors", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # a number is never given again, also after all were forgotten
)
"""What changed a consumer's state beside what it read, and the cursors at which; until snapshots have it."""

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("facts", Text, nullable=False),
    Column("hash", String, nullable=False),
)
"""Who did what: each record's hash covers the one before it."""

labels = Table(
    "labels",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("anomaly_id", String, nullable=False, index=True),
    Column("transaction_id", String),
    Column("verdict", String, nullable=False),
    Column("actor", String, nullable=False),
)
"""What people say of anomalies; the newest of an anomaly counts."""

anomaly_notes = Table(
    "anomaly_notes",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("anomaly_id", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("actor", String, nullable=False),
)
"""Who looks into an anomaly (kind assigned), and what was written about it (kind comment)."""

rules_versions = Table(
    "rules_versions",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("version", String, nullable=False, index=True),
    Column("actor", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("beside", LargeBinary, nullable=False),
)
"""What rules.yaml said, and the lists beside it, each time when other rules came into force."""

rules_proposals = Table(
    "rules_proposals",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("version", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("beside", LargeBinary, nullable=False),
    Column("base", BigInteger, nullable=False),
    Column("decision", String, nullable=False),
    Column("decided_by", String, nullable=False),
)
"""Versions that wait for a second person, or did; `base` is the number in force that they change."""

rules_blocked = Table(
    "rules_blocked",
    metadata,
    Column("version", String, primary_key=True),
    Column("at", Float, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Versions that were rolled back by themselves, and do not come into force again."""

rules_plans = Table(
    "rules_plans",
    metadata,
    Column("version", String, primary_key=True),
    Column("shares", Text, nullable=False),
)
"""What share of transactions a plan says will be anomalies under a version, as JSON."""

rules_files = Table(
    "rules_files",
    metadata,
    Column("path", String, primary_key=True),
    Column("digest", String, nullable=False),
)
"""What stood in each rules file when it was last considered: only another content is an edit."""

models = Table(
    "models",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("name", String, nullable=False),
    Column("version", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("fitted_at", Float, nullable=False),
    Column("facts", Text, nullable=False),
    Column("sha256", String, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    UniqueConstraint("name", "version"),
)
"""Fitted models; the payload of an old one is empty."""

model_events = Table(
    "model_events",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("name", String, nullable=False),
    Column("version", String, nullable=False),
    Column("event", String, nullable=False),
    Column("event_time", Float, nullable=False),
    Column("actor", String, nullable=False),
    Column("sentence", Text, nullable=False),
    Column("facts", Text, nullable=False),
)
"""What happened to fitted models, in order."""

model_orders = Table(
    "model_orders",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("model", BigInteger, nullable=False),
    Column("held", Integer, nullable=False),
    Column("actor", String, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Which models people want to count, in order."""

alert_groups = Table(
    "alert_groups",
    metadata,
    Column("group_id", String, primary_key=True),
    Column("open", Integer, nullable=False, index=True),
    Column("changed_at", Float, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
"""Groups of alerts, open and closed, as the alerts room writes them."""

alert_decisions = Table(
    "alert_decisions",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("anomaly_id", String, index=True),
    Column("group_id", String, index=True),
    Column("verdict", String, nullable=False),
    Column("reason", Text, nullable=False),
)
"""What was decided about an anomaly or a group, and why."""

notifications = Table(
    "notifications",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("key", String, nullable=False, unique=True),
    Column("group_id", String, nullable=False, index=True),
    Column("channel", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("unanswered", Integer, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("written_at", Float, nullable=False),
    Column("sent_at", Float),
    Column("reference", String, nullable=False),
    Column("answer", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("urgent", Integer, nullable=False, server_default="0"),
)
"""The outbox: state is waiting, sending (claimed until `due_at`), sent or dead."""

alert_routes = Table(
    "alert_routes",
    metadata,
    Column("route", String, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)
"""What each route of alerts remembers: its hour, its day, what it holds back."""

silences = Table(
    "silences",
    metadata,
    Column("silence_id", String, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)
"""Who must not be told of what, from when until when."""
