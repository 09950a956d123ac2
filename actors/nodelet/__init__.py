"""The node's own actor: makes the pods that are bound to its node true, through the node ports.

Pure, driven by `executor` and by the simulator: `core` and all it imports. Effectful: `executor`, `log_reader`, `host`,
`actor`.
"""
