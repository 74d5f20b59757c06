-- How often merges write a row again, and what that costs. Merges gather more parts at once; parts of events stay a few
-- files for longer instead of four hundred; and the longest columns are packed by LZ4 instead of ZSTD, the times as
-- differences: about a tenth more bytes of an event on disk. Nothing that is stored changes. Parts that are there stay as
-- they are until they are merged.
ALTER TABLE events
    MODIFY COLUMN activity_time CODEC(Delta, LZ4),
    MODIFY COLUMN activity_code CODEC(LZ4),
    MODIFY COLUMN activity_target CODEC(LZ4),
    MODIFY COLUMN activity_value CODEC(LZ4);

ALTER TABLE events MODIFY SETTING min_bytes_for_wide_part = 268435456, merge_selector_base = 10;
ALTER TABLE features MODIFY SETTING merge_selector_base = 10;
ALTER TABLE raw_archive MODIFY SETTING merge_selector_base = 10;
