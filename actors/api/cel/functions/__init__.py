"""Kubernetes' CEL libraries, one file each (apiserver pkg/cel/library): pure functions over plain values.

Values of Kubernetes' own types (Quantity, IP, CIDR, URL, Semver, Format) travel as maps with one marked member, since
the runtime has no types of its own to give.
"""
