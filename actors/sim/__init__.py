"""The simulated cluster: the real cores of store, scheduler, controllers and nodelet under a virtual clock and faults.

Deterministic: a seed decides everything that happens. Ships with the product, for what-if and replay use it too.
"""
