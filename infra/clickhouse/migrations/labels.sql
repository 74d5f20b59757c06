-- How payments ended, as merchants tell it afterwards. One label a target: of those for the same target the one that
-- was received last stays. Read it with FINAL. Kept for 400 days after it was given: disputes come up to 120 days late,
-- and a year's labels are what a model is trained on.
CREATE TABLE IF NOT EXISTS labels
(
    merchant LowCardinality(String),
    target LowCardinality(String) COMMENT 'event, session or transaction: schemas.labels.TARGETS',
    id String COMMENT 'of an event or a session 32 hex digits in lower case; of a transaction the merchant''s own id',
    label LowCardinality(String) COMMENT 'chargeback, confirmed_fraud or genuine: schemas.labels.LABELS',
    labelled_at DateTime64(3, 'UTC') COMMENT 'when the merchant came to know',
    received_at DateTime64(6, 'UTC') COMMENT 'when it reached us: the last one wins'
)
ENGINE = ReplacingMergeTree(received_at)
ORDER BY (merchant, target, id)
TTL toDateTime(labelled_at) + INTERVAL 400 DAY;
