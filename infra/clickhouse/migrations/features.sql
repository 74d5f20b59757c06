-- The features that an event was scored by, bit for bit: what scoring it again, explaining it, comparing models and
-- training rest on. Kept for 120 days: that late chargebacks still come. The days count from when a row was written, so
-- that a replay of older events can be trained on. Of rows with the same key the one that came first stays, as in events.
CREATE TABLE IF NOT EXISTS features
(
    merchant LowCardinality(String),
    occurred_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    event_id FixedString(16),
    schema LowCardinality(String) COMMENT 'digest of the feature schema: scoring.features.FeatureSchema.digest',
    model LowCardinality(String) COMMENT 'that scored the event by them',
    packed String CODEC(ZSTD) COMMENT 'scoring.stored_features',

    written_at DateTime64(6, 'UTC') MATERIALIZED now64(6, 'UTC'),
    stands UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Micro(written_at))) COMMENT 'higher where written earlier',

    INDEX by_event event_id TYPE bloom_filter(0.001) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(stands)
PARTITION BY toDate(occurred_at)
ORDER BY (merchant, occurred_at, event_id)
TTL toDateTime(written_at) + INTERVAL 120 DAY
SETTINGS index_granularity = 512;
