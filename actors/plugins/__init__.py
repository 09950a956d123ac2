"""What a node needs from the world: runtime, image, network, storage, device. Each port follows its standard's verbs."""
