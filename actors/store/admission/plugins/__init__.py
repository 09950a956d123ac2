"""The built-in admission plugins, one a file, each under Kubernetes' name for it. `profile.py` says which are on."""
