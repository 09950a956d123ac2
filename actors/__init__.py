"""What runs on the Ray cluster: the API store, the scheduler, the controllers, the nodelets and the gateway.

Every actor is a thin shell over a deterministic core. ARCHITECTURE.md names the rooms in reading order.
"""
