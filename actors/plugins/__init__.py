"""What a node needs from the world: runtime, image, network, storage, device. Ports follow their standards' verbs."""
