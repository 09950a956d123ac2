"""The node's end of exec, attach, port-forward and proxy: one TLS listener, a ticket for each stream.

Data does not pass through Ray's calls: they have no back-pressure, and a gateway that dies would leave them behind. A
TCP connection has both: who does not read stops the other side, and its end is the end of what was started for it.
"""
