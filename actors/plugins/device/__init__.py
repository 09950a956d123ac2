"""The device port (device plugin v1beta1 shapes, CDI 1.1 edits) and its implementations."""
