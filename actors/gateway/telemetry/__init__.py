"""What the gateway tells Prometheus at /metrics, under the names by which people alert on a kube-apiserver.

`series.py` counts and writes the text form, `requests.py` is what is counted of requests, `flow.py` of priority and
fairness, `machine.py` of the process; all are asked by `page.py`. Counting costs a look-up; text is made when asked.
"""
