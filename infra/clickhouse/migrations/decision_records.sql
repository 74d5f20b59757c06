-- One row a decision of POST /v1/decisions: the record as events.decisions carries it (schemas.decision_record), without
-- personal data, and columns made from it here. An event decided once is recorded once: a record written again meets
-- itself, and of equal keys the one that came first stays, as in events. Read it with FINAL. Kept for 400 days after it
-- came, as labels are: what was decided is judged by how it ended.
CREATE TABLE IF NOT EXISTS decisions
(
    merchant LowCardinality(String),
    event_id String COMMENT 'the merchant''s own; a keyed digest where it held personal data',
    event_type LowCardinality(String),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD) COMMENT 'event time',
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD) COMMENT 'when the decision was asked for',
    topic LowCardinality(String),
    partition Int32,
    offset Int64 CODEC(Delta, ZSTD),
    record String CODEC(ZSTD(3)) COMMENT 'JSON: schemas.decision_record.DecisionRecord',

    session String DEFAULT JSONExtractString(record, 'session_id') COMMENT '32 hex digits; empty without a session',
    decision LowCardinality(String) DEFAULT JSONExtractString(record, 'decision'),
    decided_by LowCardinality(String) DEFAULT JSONExtractString(record, 'by') COMMENT 'allow_list, deny_list, rules, model, degraded or default',
    score Nullable(Float32) DEFAULT JSONExtract(record, 'score', 'Nullable(Float32)') COMMENT 'the model''s with what rules added',
    model_score Nullable(Float32) DEFAULT JSONExtract(record, 'model_score', 'Nullable(Float32)'),
    matched Array(LowCardinality(String)) DEFAULT JSONExtract(record, 'matched', 'Array(String)') COMMENT 'live rules, by priority',
    errors Array(LowCardinality(String)) DEFAULT arrayMap(said -> said.1, arrayFilter(said -> said.2 = 'error', JSONExtract(record, 'trace', 'Array(Tuple(rule String, status String))'))) COMMENT 'rules that erred',
    tags Array(LowCardinality(String)) DEFAULT JSONExtract(record, 'tags', 'Array(String)'),
    alerts Array(LowCardinality(String)) DEFAULT JSONExtract(record, 'alerts', 'Array(String)'),
    degraded Array(LowCardinality(String)) DEFAULT JSONExtract(record, 'degraded', 'Array(String)') COMMENT 'what could not be asked: history, lists',
    rulesets LowCardinality(String) DEFAULT JSONExtractString(record, 'rulesets') COMMENT 'digest',
    policy LowCardinality(String) DEFAULT JSONExtractString(record, 'policy') COMMENT 'digest',
    shadow_rulesets Array(LowCardinality(String)) DEFAULT arrayMap(said -> said.1, JSONExtract(record, 'shadows', 'Array(Tuple(rulesets String, decision String))')) COMMENT 'rulesets that were tried in the shadow',
    shadow_decisions Array(LowCardinality(String)) DEFAULT arrayMap(said -> said.2, JSONExtract(record, 'shadows', 'Array(Tuple(rulesets String, decision String))')) COMMENT 'of each',
    microseconds UInt32 DEFAULT JSONExtractUInt(record, 'microseconds'),

    written_at DateTime64(6, 'UTC') MATERIALIZED now64(6, 'UTC'),
    stands UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Micro(written_at))) COMMENT 'higher where written earlier',

    INDEX by_event event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_session session TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_offset offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(stands)
PARTITION BY toDate(occurred_at)
ORDER BY (merchant, occurred_at, event_id)
TTL toDateTime(received_at) + INTERVAL 400 DAY;
