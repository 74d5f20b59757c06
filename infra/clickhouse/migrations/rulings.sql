-- What rules and lists said of an event beside the model, and what decided. Builds before leave texts and arrays empty.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS by_policy LowCardinality(String) DEFAULT decision COMMENT 'what the policy makes of the score with the points of rules: the session''s standing decision after the event' AFTER before,
    ADD COLUMN IF NOT EXISTS decided_by LowCardinality(String) DEFAULT 'model' COMMENT 'model, rules, allow_list, deny_list or degraded' AFTER by_policy,
    ADD COLUMN IF NOT EXISTS added Float32 COMMENT 'points that rules add to the score of the model' AFTER decided_by,

    ADD COLUMN IF NOT EXISTS tags_text String EPHEMERAL '',
    ADD COLUMN IF NOT EXISTS alerts_text String EPHEMERAL '',
    ADD COLUMN IF NOT EXISTS tried_rulesets_text String EPHEMERAL '',
    ADD COLUMN IF NOT EXISTS tried_decisions_text String EPHEMERAL '',
    ADD COLUMN IF NOT EXISTS tags Array(LowCardinality(String)) DEFAULT if(tags_text = '', [], splitByChar('\x1f', tags_text)) COMMENT 'of the rules that matched',
    ADD COLUMN IF NOT EXISTS alerts Array(LowCardinality(String)) DEFAULT if(alerts_text = '', [], splitByChar('\x1f', alerts_text)) COMMENT 'whom they alert',
    ADD COLUMN IF NOT EXISTS tried_rulesets Array(LowCardinality(String)) DEFAULT if(tried_rulesets_text = '', [], splitByChar(',', tried_rulesets_text)) COMMENT 'rulesets that judged in the shadow',
    ADD COLUMN IF NOT EXISTS tried_decisions Array(LowCardinality(String)) DEFAULT if(tried_rulesets_text = '', [], splitByChar(',', tried_decisions_text)) COMMENT 'what would be decided with each of them in place of the live ones',
    ADD COLUMN IF NOT EXISTS ruling String CODEC(ZSTD) COMMENT 'JSON of schemas.ruling.Ruling: trace of the rules, and what stores answered them; empty where no rule looks at such events';
