"""The launcher: a small process outside Ray's process tree that starts containers, keeps their output and exit codes.

It runs as `python -I -S -E` and imports little of the standard library and nothing else, so it stays near 10 MB.
Reading order: main, supervisor, worker, containers, start, child, attendant, spool; then the isolation primitives.
"""
