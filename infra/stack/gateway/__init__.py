"""A gateway that serves ClickHouse's native TCP protocol from the embedded ClickHouse engine."""
