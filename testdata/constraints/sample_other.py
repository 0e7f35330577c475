#!/usr/bin/env python3
"""Draws the sentences that another reader labelled: as `sample.py`, by its own rule and seed.

usage: sample_other.py <folder of folders with tools.json and meta.json> 2 > sentences.tsv

Round 1 is that of `sample.py`; round 2 takes five sentences of every server. Those that `sample.py` drew in any
round are taken out afterwards, and the ids stay.
"""

import random
import sys

from sample import read

# For each round: seed, servers (None: all there are), sentences of each server, prefix of the ids.
ROUNDS = [(20261120, 60, 4, ""), (20261128, None, 5, "b")]


def draw(by_server, seed, servers, per_server, everything):
    """One round; adds what it drew to `everything`, the sentences that no round may draw again."""
    chance = random.Random(seed)
    large_enough = sorted(server for server in by_server if len(by_server[server]) >= per_server)
    drawn = []
    for server in chance.sample(large_enough, servers or len(large_enough)):
        found = list(by_server[server])
        chance.shuffle(found)
        tools, n_of_server = set(), 0
        for only_new_tools in (True, False):
            for tool, place, sentence in found:
                if n_of_server == per_server:
                    break
                if sentence in everything or (only_new_tools and tool in tools):
                    continue
                tools.add(tool)
                everything.add(sentence)
                drawn.append((server, tool, place, sentence))
                n_of_server += 1
    chance.shuffle(drawn)
    return drawn


def main():
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    by_server, everything = read(sys.argv[1]), set()
    for seed, servers, per_server, prefix in ROUNDS[:wanted]:
        drawn = draw(by_server, seed, servers, per_server, everything)
    print("id\thalf\tserver\ttool\tplace\tsentence")
    for n, row in enumerate(drawn):
        print("\t".join([f"{prefix}{n:03}", "dev" if n % 2 == 0 else "held-out", *row]))


if __name__ == "__main__":
    main()
