-- Repaired payloads: one row each time that a recovery file repaired a letter, appended and never changed. The one that
-- stands is that of the command that the letter was last marked as fixed by: one that was reopened since stands no more,
-- and what a killed command left behind never stood. infra/letter_repairs.py reads it so.
CREATE TABLE IF NOT EXISTS dead_letter_repairs
(
    letter UInt64 MATERIALIZED sipHash64(topic, partition, offset, stage) COMMENT 'names the letter in joins',
    topic LowCardinality(String),
    partition Int32,
    offset Int64,
    stage LowCardinality(String),
    made_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    command UUID COMMENT 'that of dead_letter_states, too',
    who LowCardinality(String),
    file LowCardinality(String) COMMENT 'SHA-256 of the recovery file, hex',
    attempts UInt16 COMMENT 'how often the row was tried until then',
    counts_unchanged Bool COMMENT 'whether what counts look at is as it was received: merchant, ids, times',
    payload_sha256 String COMMENT 'of the repaired payload, hex',
    payload String CODEC(NONE) COMMENT 'an ordinary record of an envelope and a sealed event'
)
ENGINE = MergeTree
ORDER BY (letter, made_at)
TTL toDateTime(made_at) + INTERVAL 400 DAY;

-- The text of each recovery file that was applied, once.
CREATE TABLE IF NOT EXISTS recovery_files
(
    file String COMMENT 'SHA-256 of the text, hex',
    name LowCardinality(String),
    author String,
    why String,
    text String CODEC(ZSTD),
    written_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY file;
