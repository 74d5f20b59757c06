-- When Kafka took a record that died: a replay from the archive puts it where it was among the others. Letters of
-- builds before did not keep it; the ingest tier took their records shortly before.
ALTER TABLE dead_letters
    ADD COLUMN IF NOT EXISTS appended_at DateTime64(3, 'UTC') DEFAULT received_at CODEC(Delta, ZSTD) AFTER received_at;
