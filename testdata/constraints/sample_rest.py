#!/usr/bin/env python3
"""Draws what the rounds left over of their servers, to learn from.

usage: sample_rest.py <folder of folders with tools.json and meta.json> > sentences-learn-7.tsv

Up to 150 sentences of each server, seeded; none that another file of sentences has, not even with other digits or in
other case. So the checker learns from the servers that it is judged on, and never from the sentences.
"""

import random
import sys
from pathlib import Path

from sample import letters, read

SEED, PER_SERVER = 20261208, 150
OWN = "sentences-learn-7.tsv"
# Drawn later than this set.
LATER = ("sentences-learn-8.tsv",)
HERE = Path(__file__).parent


def main():
    chance, drawn, earlier = random.Random(SEED), [], set()
    for other in sorted(HERE.glob("sentences*.tsv")):
        if other.name not in (OWN, *LATER):
            earlier.update(letters(row.split("\t")[-1]) for row in other.read_text().splitlines()[1:])
    for server, found in sorted(read(sys.argv[1]).items()):
        chance.shuffle(found)
        n_of_server = 0
        for tool, place, sentence in found:
            if letters(sentence) not in earlier and n_of_server < PER_SERVER:
                earlier.add(letters(sentence))
                drawn.append((server, tool + place, sentence))
                n_of_server += 1
    chance.shuffle(drawn)
    print("id\tserver\tplace\tsentence")
    for n, row in enumerate(drawn):
        print("\t".join([f"v{n:04}", *row]))


if __name__ == "__main__":
    main()
