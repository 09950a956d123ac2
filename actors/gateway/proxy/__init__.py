"""The proxy subresource of pods, services and nodes: HTTP by way of the gateway to what listens there."""
