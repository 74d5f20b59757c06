-- One row an event. The sorting key is the event's own, so an event written again (a replay after kill -9, a redrive)
-- meets itself; of equal keys the row with the highest `stands` stays, which is the one that came first.
-- Read it with FINAL, or count with uniqExact(event_id).
--
-- Columns <name>_bytes and <name>_text are ephemeral: the writer sends ragged columns as little-endian bytes and
-- joined names, and the defaults make arrays of them here.
CREATE TABLE IF NOT EXISTS events
(
    event_id FixedString(16),
    session_id FixedString(16),
    device_id FixedString(16),
    address FixedString(16) COMMENT 'IPv6, or IPv4 mapped into it',
    merchant LowCardinality(String),
    transaction String,
    linked_id String COMMENT 'the merchant''s own account id',
    key_id UInt32,
    sequence UInt32,
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD) COMMENT 'event time: when the agent sealed it',
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD) COMMENT 'when the ingest tier accepted it',
    catalogue UInt16,

    topic LowCardinality(String),
    partition Int32,
    offset Int64 CODEC(Delta, ZSTD),
    appended_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    polled_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),

    browser LowCardinality(String),
    browser_version Float32,
    system LowCardinality(String),
    device LowCardinality(String),
    gpu LowCardinality(String),
    screen_pixels_wide Float32,
    screen_pixels_high Float32,
    checks UInt32 COMMENT 'bit i set: schemas.environment.CHECKS[i] failed',

    events_5m UInt32,
    events_1h UInt32,
    events_24h UInt32,
    first_seen_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    previous_at Nullable(DateTime64(3, 'UTC')),

    score Float32,
    decision LowCardinality(String),
    model LowCardinality(String),
    build LowCardinality(String),
    ruleset LowCardinality(String),
    factors_text String EPHEMERAL '',
    factor_texts_text String EPHEMERAL '',
    contributions_bytes String EPHEMERAL '',
    rules_text String EPHEMERAL '',
    degraded_text String EPHEMERAL '',
    factors Array(LowCardinality(String)) DEFAULT if(factors_text = '', [], splitByChar(',', factors_text)),
    factor_texts Array(String) DEFAULT if(factors_text = '', [], splitByChar('\n', factor_texts_text)) CODEC(ZSTD),
    contributions Array(Float32) DEFAULT reinterpret(contributions_bytes, 'Array(Float32)'),
    rules Array(LowCardinality(String)) DEFAULT if(rules_text = '', [], splitByChar(',', rules_text)),
    degraded Array(LowCardinality(String)) DEFAULT if(degraded_text = '', [], splitByChar(',', degraded_text)),

    smart_names LowCardinality(String) COMMENT 'joined by commas; the arrays below follow this order',
    smart_results_bytes String EPHEMERAL '',
    smart_confidences_bytes String EPHEMERAL '',
    smart_reasons_bytes String EPHEMERAL '',
    smart_results Array(Int8) DEFAULT reinterpret(smart_results_bytes, 'Array(Int8)') COMMENT '1, 0, or -1: not computable',
    smart_confidences Array(Float32) DEFAULT reinterpret(smart_confidences_bytes, 'Array(Float32)') CODEC(ZSTD),
    smart_reasons Array(UInt32) DEFAULT reinterpret(smart_reasons_bytes, 'Array(UInt32)') COMMENT 'bit i: the signal''s own reason i',

    activity_time_bytes String EPHEMERAL '',
    activity_code_bytes String EPHEMERAL '',
    activity_target_bytes String EPHEMERAL '',
    activity_value_bytes String EPHEMERAL '',
    activity_time Array(UInt32) DEFAULT reinterpret(activity_time_bytes, 'Array(UInt32)') CODEC(ZSTD) COMMENT 'ms since the page opened',
    activity_code Array(UInt16) DEFAULT reinterpret(activity_code_bytes, 'Array(UInt16)') CODEC(ZSTD),
    activity_target Array(UInt8) DEFAULT reinterpret(activity_target_bytes, 'Array(UInt8)') CODEC(ZSTD),
    activity_value Array(Float32) DEFAULT reinterpret(activity_value_bytes, 'Array(Float32)') CODEC(ZSTD),

    ledger_marks LowCardinality(String) COMMENT 'joined by commas',
    ledger_micros_bytes String EPHEMERAL '',
    ledger_micros Array(Int64) DEFAULT reinterpret(ledger_micros_bytes, 'Array(Int64)') CODEC(ZSTD) COMMENT 'microseconds since the epoch',

    written_at DateTime64(6, 'UTC') MATERIALIZED now64(6, 'UTC'),
    stands UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Micro(written_at))) COMMENT 'higher where written earlier',

    event String ALIAS lower(hex(event_id)),
    session String ALIAS lower(hex(session_id)),
    device_hex String ALIAS lower(hex(device_id)),
    ip String ALIAS replaceOne(IPv6NumToString(address), '::ffff:', ''),
    smart Map(String, Int8) ALIAS mapFromArrays(splitByChar(',', smart_names), smart_results),
    ledger Map(String, Int64) ALIAS mapFromArrays(splitByChar(',', ledger_marks), ledger_micros),

    INDEX by_event event_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_device device_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_offset offset TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(stands)
PARTITION BY toDate(occurred_at)
ORDER BY (merchant, transaction, occurred_at, event_id);
