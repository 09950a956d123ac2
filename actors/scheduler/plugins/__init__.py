"""Scheduler plugins: one file each, a frozen struct whose fields are its configuration. See `profile.py`."""
