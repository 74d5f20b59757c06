"""ClickHouse: the tables, and the runner that makes a database agree with them."""
