"""The scheduler: which pod goes to which node, and why not. One pure function over arrays; `core.py` keeps it fed."""
