#!/usr/bin/env python3
"""Prints what the bytes of a program are, as folded stacks for `inferno-flamegraph`: section;crate;module bytes.

usage: benches/flame/size.py PROGRAM-WITH-SYMBOLS

Needs `nm` and `readelf` (binutils). Bytes of a section that no symbol has (constants without a name, panic
locations, tables for unwinding) stand as `no name` below their section; what is not loaded is left out.
"""

import bisect
import re
import subprocess
import sys
from collections import Counter


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def sections(program):
    """Those that are in the file and loaded: name, address, bytes."""
    found = []
    for line in output("readelf", "-SW", program).splitlines():
        match = re.match(r"\s*\[ *\d+\] (\S+)\s+(\S+)\s+([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+) \S+\s+([A-Z]*)\s", line)
        if match and "A" in match[5] and match[2] != "NOBITS":
            found.append((int(match[3], 16), int(match[4], 16), match[1]))
    return sorted(found)


def place(symbol):
    """The crate and the module of a symbol; that of the type, where it is a method of a trait."""
    symbol = re.sub(r"^(<|&|mut |\[|\(|dyn |impl )+", "", symbol)
    path = re.match(r"[A-Za-z_][A-Za-z0-9_]*(::[A-Za-z_][A-Za-z0-9_]*)*", symbol)
    if path is None:
        return ["other"]
    parts = path[0].split("::")
    if len(parts) == 1:
        return ["generic" if len(parts[0]) == 1 else "C", *(parts if len(parts[0]) > 1 else [])][:2]
    return parts[: 3 if parts[0] == "mcp_whittle" else 2]


def main():
    program = sys.argv[1]
    known = sections(program)
    starts = [start for start, _, _ in known]
    stacks, named = Counter(), Counter()
    seen = set()
    for line in output("nm", "--demangle", "--print-size", "--defined-only", program).splitlines():
        parts = line.split(None, 3)
        if len(parts) < 4 or not re.fullmatch("[0-9a-f]{16}", parts[1]):
            continue
        address, size = int(parts[0], 16), int(parts[1], 16)
        at = bisect.bisect_right(starts, address) - 1
        # Aliases share their bytes.
        if at < 0 or address >= known[at][0] + known[at][1] or address in seen:
            continue
        seen.add(address)
        section = known[at][2]
        named[section] += size
        stacks[";".join([section, *place(parts[3])])] += size
    for _, size, section in known:
        rest = size - named[section]
        if rest > 0:
            stacks[f"{section};no name" if named[section] else section] += rest
    for stack, size in sorted(stacks.items()):
        print(stack, size)


if __name__ == "__main__":
    main()
