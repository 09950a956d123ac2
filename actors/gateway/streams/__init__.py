"""The gateway's end of exec, attach and port-forward: WebSockets and SPDY towards clients, frames towards the node."""
