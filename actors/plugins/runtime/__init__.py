"""The runtime port (CRI v1 RuntimeService) and its implementations."""
