"""The storage port (CSI's node verbs) and its implementations."""
