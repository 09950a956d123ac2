"""The network port (CNI 1.1.0) and its implementations."""
