"""Runs in the container of `cluster.call`: unpickles the call, makes it, prints the outcome as marked lines.

Only the standard library and the cloudpickle beside it; any Python 3 can at least say that it is the wrong one.
"""

# mypy: disable-error-code=no-untyped-def
# mypy: disable-error-code=no-untyped-call
import base64
import os
import sys
import traceback

MARK = "\x02raypod-result "
RESULT_BYTES_MAX = 16 << 20
LINE_CHARS = 8000


def main(folder, wanted):
    """Exit code 0 when the function returned, 1 when not."""
    sys.path.insert(0, os.path.join(folder, "cloudpickle.zip"))  # the caller's, whatever the image has
    import pickle

    found = "%d.%d" % sys.version_info[:2]
    if found != wanted:
        message = "the image's Python is %s and the caller's is %s: use an image with Python %s, or name one" % (
            found,
            wanted,
            wanted,
        )
        return tell(pickle.dumps(("refused", message, ""), 2), 1)
    import cloudpickle

    with open(os.path.join(folder, "path")) as file:
        entries = file.read().split("\n")
    first = entries.index("")
    lead = [entry for entry in entries[:first] if os.path.exists(entry)]
    if len(lead) < first:  # the sources that came along stand in for folders that are not here
        lead.append(os.path.join(folder, "modules.zip"))
    sys.path[1:1] = lead
    sys.path.extend(entry for entry in entries[first:] if entry and os.path.exists(entry) and entry not in sys.path)
    sys.path.append(os.path.join(folder, "modules.zip"))
    parts = sorted(name for name in os.listdir(folder) if name.startswith("payload-"))
    payload = b"".join(open(os.path.join(folder, part), "rb").read() for part in parts)
    try:
        fn, args, kwargs = cloudpickle.loads(payload)
    except BaseException as error:
        message = "the function cannot be loaded in the container: %s: %s" % (type(error).__name__, error)
        return tell(pickle.dumps(("refused", message, traceback.format_exc()), 2), 1)
    return tell(*attempt(cloudpickle, fn, args, kwargs))


def attempt(cloudpickle, fn, args, kwargs):
    """The outcome, pickled, and the exit code."""
    try:
        value = fn(*args, **kwargs)
    except BaseException as error:
        return pickled(cloudpickle, "raised", error, traceback.format_exc()), 1
    return pickled(cloudpickle, "returned", value, ""), 0


def pickled(cloudpickle, outcome, value, trace):
    """What cannot be sent back is refused in a sentence."""
    try:
        result = cloudpickle.dumps((outcome, value, trace))
        if outcome == "raised":
            cloudpickle.loads(result)  # an exception with an __init__ of its own may not survive this
    except Exception as error:
        message = "what the function %s cannot be sent back: %s: %s" % (outcome, type(error).__name__, error)
        return cloudpickle.dumps(("refused", message, trace))
    if len(result) > RESULT_BYTES_MAX:
        message = "the result is %d bytes, at most %d can be sent back: write it to a volume" % (
            len(result),
            RESULT_BYTES_MAX,
        )
        return cloudpickle.dumps(("refused", message, trace))
    return result


def tell(result, code):
    """On a line of its own, whatever the function has printed before."""
    text = base64.b64encode(result).decode()
    sys.stdout.write("\n")
    for start in range(0, len(text), LINE_CHARS):
        sys.stdout.write(MARK + text[start : start + LINE_CHARS] + "\n")
    sys.stdout.write(MARK + "end\n")
    sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main(os.path.dirname(os.path.abspath(__file__)), sys.argv[1]))
