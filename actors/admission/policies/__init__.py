"""Policies in CEL on the way of a write (apiserver pkg/admission/plugin/policy): one step mutates, one validates.

hooks.py       policies with their bindings, compiled       matching.py    which requests they are about
params.py      the objects that bindings name               evaluation.py  what expressions see, and may cost
mutating.py, merging.py, validating.py                      what becomes of the answers
"""
