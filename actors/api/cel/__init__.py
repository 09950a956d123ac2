"""The Common Expression Language as Kubernetes has it: compiled by Google's library (cel-expr-python), evaluated here.

    environment.py   variables, types, compiling      ast.py         what the compiler found
    interpreter.py   evaluation, step by priced step  estimate.py    what it can cost at most, before it runs
    calls.py         operators and functions          frame.py       the variables, and what is left to spend
    functions/       the libraries, one a file         spans.py       least and most; prices.py, of functions

Every evaluation has a budget in units of cost, Kubernetes' own, so none runs for long: a million units, the most that
one expression may use, are about half a second.
"""
