-- Every change of a watchlist and every snooze: who, when, why, and what held before. Written before Redis, so that this
-- is the truth and Redis a copy that `clickgoose lists restore` makes again: of an entry the row with the greatest
-- version holds. Nothing is changed or deleted here: an entry may hold for ever, and an audit asks for its whole life.
-- Values are digests under the entity key: they cannot be read, nor compared between merchants.
CREATE TABLE IF NOT EXISTS list_changes
(
    merchant LowCardinality(String) COMMENT 'empty: global, it holds for every merchant',
    mode LowCardinality(String) COMMENT 'allow, deny, named or snooze: scoring.rules.watchlists.MODES',
    list LowCardinality(String) COMMENT 'name of the list; of a snooze the id of the rule',
    kind LowCardinality(String) COMMENT 'of the entity, as card; empty in lists that rules name',
    digest FixedString(16) COMMENT 'keyed BLAKE2b of merchant, kind and value',
    version UInt64 COMMENT 'microseconds since 1970 when it was made, and greater than that of the change before',
    action LowCardinality(String) COMMENT 'add or remove',
    until Int64 COMMENT 'event time in ms at which it ends; 9223372036854775807: never; -1: removed',
    before Int64 COMMENT 'what until was before; -1: the entry was not there',
    reason String,
    author String,
    source LowCardinality(String) COMMENT 'api or command'
)
ENGINE = MergeTree
ORDER BY (merchant, mode, list, digest, version);
