-- What a decision rests on besides the score, so that it can be made again, and what shadow models would have said.
-- Builds before leave texts empty, thresholds NaN and arrays empty.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS event_type LowCardinality(String) COMMENT 'what the visit is for, as the merchant names it; empty where not said' AFTER card,
    ADD COLUMN IF NOT EXISTS policy LowCardinality(String) COMMENT 'digest of the policies in force' AFTER ruleset,
    ADD COLUMN IF NOT EXISTS review Float32 DEFAULT nan COMMENT 'threshold of the merchant and the event type' AFTER policy,
    ADD COLUMN IF NOT EXISTS deny Float32 DEFAULT nan COMMENT 'the same' AFTER review,
    ADD COLUMN IF NOT EXISTS margin Float32 DEFAULT nan COMMENT 'how far the score must fall below a threshold to leave a stricter decision' AFTER deny,
    ADD COLUMN IF NOT EXISTS before LowCardinality(String) COMMENT 'the session''s standing decision before the event' AFTER margin,

    ADD COLUMN IF NOT EXISTS shadow_models_text String EPHEMERAL '',
    ADD COLUMN IF NOT EXISTS shadow_scores_bytes String EPHEMERAL '',
    ADD COLUMN IF NOT EXISTS shadow_decisions_text String EPHEMERAL '',
    ADD COLUMN IF NOT EXISTS shadow_models Array(LowCardinality(String)) DEFAULT if(shadow_models_text = '', [], splitByChar(',', shadow_models_text)) COMMENT 'models that scored beside, for comparison only',
    ADD COLUMN IF NOT EXISTS shadow_scores Array(Float32) DEFAULT reinterpret(shadow_scores_bytes, 'Array(Float32)') CODEC(ZSTD) COMMENT 'of each; NaN where it failed',
    ADD COLUMN IF NOT EXISTS shadow_decisions Array(LowCardinality(String)) DEFAULT if(shadow_models_text = '', [], splitByChar(',', shadow_decisions_text)) COMMENT 'what each score would decide; empty where it failed';
