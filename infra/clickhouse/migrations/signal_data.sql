-- Which versions of its data each smart signal used: an event can be judged again by the same data. Builds before leave
-- it empty.
ALTER TABLE events
    ADD COLUMN IF NOT EXISTS smart_data LowCardinality(String) COMMENT 'joined by commas, in the order of smart_names; empty where a signal uses none' AFTER smart_reasons,
    ADD COLUMN IF NOT EXISTS smart_versions Map(String, String) ALIAS mapFromArrays(splitByChar(',', smart_names), arrayResize(splitByChar(',', smart_data), length(splitByChar(',', smart_names))));
