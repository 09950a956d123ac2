"""Boots and supervises the actors: the only package that knows Ray, the processes under it and all the others.

`python -P -m actors.cluster up|down|status|keep|boot` is its door; `keeper` is the one process outside Ray.
"""
