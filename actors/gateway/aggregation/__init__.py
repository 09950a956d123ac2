"""Aggregation: API groups that other servers serve (apiregistration.k8s.io, kube-aggregator).

services      APIServices as we read them
proxying      one request, passed on to the server behind its group and version
probing       whether that server answers, and what it has to discover
registration  the APIServices of what we serve ourselves, and what extension servers trust
aggregator    keeps all of it current
"""
