"""The store's calls over a Unix socket: for the parts of the control plane on its own machine."""
