"""Smart signals: one file each, computed column-wise over a batch."""
