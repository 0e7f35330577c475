#!/usr/bin/env python3
"""Prints where the tokens of a list of tools go, as folded stacks for `inferno-flamegraph`: tool;part tokens.

usage: mcp-whittle count --json --tools LIST | benches/flame/tokens.py
"""

import json
import sys


def main():
    for server in json.load(sys.stdin)["servers"]:
        for tool in server["tools"]:
            for part in ("name", "description", "input_schema"):
                if tool["before"][part]:
                    print(f"{tool['name']};{part} {tool['before'][part]}")


if __name__ == "__main__":
    main()
