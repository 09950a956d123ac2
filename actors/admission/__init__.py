"""Admission that users configure: webhooks and policies, asked before the store commits.

The store's own admission (actors/store/admission) decides what a write becomes. This is around it: `chain.Chain` asks
the store by a dry run for the object as it would be, shows it to the steps that want to see it, and commits what they
have made of it, on the condition that the stored object is still the one that they saw. Used by the gateway, the
controllers, the scheduler and the nodelets; a write that nobody wants to see costs one look-up.
"""
