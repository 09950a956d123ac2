"""Encryption at rest: what leaves the store's memory for the disk is sealed, as an EncryptionConfiguration says.

`ciphers.py` are the providers, `configuration.py` which resource has which, `backend.py` puts them before any backend.
"""
