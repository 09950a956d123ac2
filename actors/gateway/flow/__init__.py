"""Priority and fairness (KEP-1040): requests are classified by FlowSchemas, and each priority level has its seats.

`schemas.py` says whose request is which flow's, `queues.py` who goes first, both pure; `control.py` is the door's one
call; `objects.py` keeps the objects that a cluster has from the start.
"""
