"""The composition root: settings, local stack, traffic and the command line."""

import os

# Else clickhouse-driver makes every day of four centuries when it is imported: 0.2 s and 24 MB of each process, for
# columns of days that we do not read. The name is spelt as the driver spells it.
os.environ.setdefault("CLICKHOUSE_DRIVER_LASY_DATE_LUT", "as they come")
