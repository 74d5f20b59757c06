-- What became of dead letters: one row a change, appended and never changed, so that it is the audit record too. Where a
-- letter stands the newest change says; a letter without one is new. schemas/letter_state.py says which changes are legal.
CREATE TABLE IF NOT EXISTS dead_letter_states
(
    letter UInt64 MATERIALIZED sipHash64(topic, partition, offset, stage) COMMENT 'names the letter in joins',
    topic LowCardinality(String),
    partition Int32,
    offset Int64,
    stage LowCardinality(String),
    changed_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    from_state LowCardinality(String) COMMENT 'new, fixed, redriven or resolved',
    to_state LowCardinality(String),
    attempts UInt16 COMMENT 'how often the row was tried until then, redrives included',
    who LowCardinality(String),
    note String CODEC(ZSTD),
    command UUID COMMENT 'what one command changed has one'
)
ENGINE = MergeTree
ORDER BY (letter, changed_at)
TTL toDateTime(changed_at) + INTERVAL 400 DAY;

ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS letter UInt64 MATERIALIZED sipHash64(topic, partition, offset, stage);

-- Kept for 400 days after they were written. No change of a letter is older than the letter, so none goes before it.
ALTER TABLE dead_letters MODIFY TTL toDateTime(written_at) + INTERVAL 400 DAY;
