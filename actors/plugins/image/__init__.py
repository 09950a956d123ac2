"""The image port (CRI v1 ImageService, OCI image and distribution specs) and its implementations."""
