"""The local stack: real Kafka, Valkey and ClickHouse engine as supervised child processes on loopback."""
