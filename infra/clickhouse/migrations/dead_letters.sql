-- One row a dead letter: what events.dead_letter holds, except rows that wait for ClickHouse itself (sink.*).
CREATE TABLE IF NOT EXISTS dead_letters
(
    reason LowCardinality(String),
    stage LowCardinality(String),
    detail String,
    topic LowCardinality(String),
    partition Int32,
    offset Int64,
    event_id String COMMENT 'hex; empty where the record could not be read so far',
    merchant LowCardinality(String),
    processor LowCardinality(String),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    first_failed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    attempts UInt16,
    payload_format LowCardinality(String),
    payload_sha256 String,
    payload String CODEC(NONE) COMMENT 'sealed bytes do not compress; redacted for mask.*',

    written_at DateTime64(6, 'UTC') MATERIALIZED now64(6, 'UTC'),
    stands UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Micro(written_at))),

    INDEX by_event event_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(stands)
PARTITION BY toDate(received_at)
ORDER BY (topic, partition, offset, stage);
