"""Calls to servers that users run: admission and conversion webhooks, aggregated API servers.

What they answer is a stranger's: bounded in time and size, and never trusted beyond what was asked of them.
"""
