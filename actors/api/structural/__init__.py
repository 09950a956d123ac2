"""Structural schemas of custom resources (apiextensions.k8s.io/v1): checked, then used to prune, default and validate.

    check.py            is this openAPIV3Schema structural? every bad place at once
    node.py             the schema, compiled
    prune, defaults     what a write becomes      validate, rules    why it is refused

Pure: no clock, no network. Hostile schemas and objects cost time and memory in proportion to their size.
"""
