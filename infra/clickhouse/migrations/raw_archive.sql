-- The records of events.raw as received, for replays past Kafka's retention. Still sealed: nothing here can be read
-- without the master keys. Dead-lettered records lie in dead_letters.
CREATE TABLE IF NOT EXISTS raw_archive
(
    topic LowCardinality(String),
    partition Int32,
    offset Int64 CODEC(Delta, ZSTD),
    appended_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    event_id FixedString(16),
    merchant LowCardinality(String),
    payload String CODEC(NONE) COMMENT 'sealed bytes do not compress',

    INDEX by_event event_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
PARTITION BY toDate(appended_at)
ORDER BY (topic, partition, offset)
SETTINGS index_granularity = 512;
