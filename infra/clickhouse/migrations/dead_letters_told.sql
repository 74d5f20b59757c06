-- What was counted of the event before it failed, so that a redrive counts nothing twice; empty where nothing was.
ALTER TABLE dead_letters
    ADD COLUMN IF NOT EXISTS told String CODEC(ZSTD) COMMENT 'schemas.told: counts, nothing that a browser said' AFTER payload;
