"""The controllers: one file each, pure; `core.ControllersCore` runs any set of them, `actor.py` drives it."""
