"""The API store: one ordered log of revisions over encoded objects. `port.py` is what everyone else sees."""
