"""Where batches become durable. One file each: SQLite on the head node, memory for the simulator and for tests."""
