-- The timeline: one row an activity entry. A view, so that it can never disagree with the events, nor hold one twice.
CREATE VIEW IF NOT EXISTS activity AS
SELECT
    merchant,
    transaction,
    session_id,
    event_id,
    sequence,
    occurred_at,
    position,
    entry_time AS time,
    entry_code AS code,
    entry_target AS target,
    entry_value AS value
FROM events FINAL
ARRAY JOIN
    arrayEnumerate(activity_time) AS position,
    activity_time AS entry_time,
    activity_code AS entry_code,
    activity_target AS entry_target,
    activity_value AS entry_value;
