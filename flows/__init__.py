"""The dataflow: pure stages, the list of them, and the little that touches Bytewax, Kafka and the stores."""
