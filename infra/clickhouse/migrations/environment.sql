-- What normalisation makes of catalogue 2: more than 32 checks, the engine, versions and the graphics card's model.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS engine LowCardinality(String) COMMENT 'by what the browser can do' AFTER browser_version,
    ADD COLUMN IF NOT EXISTS engine_version Float32 DEFAULT nan COMMENT 'named by the user agent' AFTER engine,
    ADD COLUMN IF NOT EXISTS engine_at_least Float32 DEFAULT nan COMMENT 'least version with its features' AFTER engine_version,
    ADD COLUMN IF NOT EXISTS system_version Float32 DEFAULT nan COMMENT 'major.minor' AFTER system,
    ADD COLUMN IF NOT EXISTS gpu_driver LowCardinality(String) AFTER gpu,
    ADD COLUMN IF NOT EXISTS gpu_model LowCardinality(String) AFTER gpu_driver,
    ADD COLUMN IF NOT EXISTS density LowCardinality(String) COMMENT 'device pixels to a CSS pixel' AFTER screen_pixels_high,
    ADD COLUMN IF NOT EXISTS timezone_offset Float32 DEFAULT nan COMMENT 'minutes west of UTC, by the zone' AFTER density,
    MODIFY COLUMN checks UInt64 COMMENT 'bit i set: schemas.environment.CHECKS[i] failed';
