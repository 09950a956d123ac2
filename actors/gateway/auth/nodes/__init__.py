"""What nodes may: kubelets that come with a certificate of `system:node:NAME`, as the Node authorizer has it.

`graph.py` says which objects a node's pods need, `authorizer.py` what may be done with them, both pure; `feed.py` keeps
the graph current from the first request of a node on, so that a cluster without such nodes pays nothing.
"""
