"""Figures beside the peer's, measured in the same run where the peer can be had: `python -m benchmarks [NAME]`."""
