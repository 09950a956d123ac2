"""The provider `kms` (v2): seeds of keys are sealed by a key management service, behind a plugin on a Unix socket.

`messages.py` are those of protos/kms_v2.proto, `client.py` asks the plugin, `envelope.py` seals with what it gives.
"""
