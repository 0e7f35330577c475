"""Asks the Python SDK of this environment about tools, without a connection: `accept.py < lines`. See README.md."""

import json
import sys

from judge import judge

for line in sys.stdin:
    try:
        question = json.loads(line)
        answer = {"accepts": list(map(judge(question["tool"]), question["instances"]))}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {str(error)[:400]}"}
    print(json.dumps(answer))
