"""Admission webhooks (apiserver pkg/admission/plugin/webhook): two steps, and what they share.

config     the webhooks of all configurations, in their order
matching   which of them a request is shown to
review     AdmissionReview, made and read (pure)
call       one call, and what its failure means
"""
