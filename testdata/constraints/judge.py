#!/usr/bin/env python3
"""Says how often the checker is right on the rounds with two readers, where both agree.

usage: judge.py <program that prints features> [CATALOG.jsonl]

The program is `examples/constraint_features.rs`; the weights are those the checker has. Round 11 is judged with the
catalogue its sentences stand in (`sample_catalog.py`).
"""

import subprocess
import sys
from pathlib import Path

import sample_catalog
from train import HERE

# Sentences, the labels of both readers, and what learns from them by now.
ROUNDS = [(f"-{n}", f"-{n}", f"-{n}-second", "learned from") for n in range(5, 9)] + [
    ("-9", "-9", "-9-second", "judges"),
    ("-10", "-10", "-10-second", "judges"),
    ("-other", "-other-first", "-other-second", "judges"),
]
WEIGHTS = HERE.parent.parent / "src/surface/constraints/weights.tsv"


def labels(name):
    return dict(line.split("\t") for line in Path(HERE / f"labels{name}.tsv").read_text().splitlines()[1:])


def rounds(catalog):
    """Name, rows that end in a sentence, files of both readers' labels, and use of each round."""
    for name, first, second, use in ROUNDS:
        rows = [line.split("\t") for line in (HERE / f"sentences{name}.tsv").read_text().splitlines()[1:]]
        yield name, rows, first, second, use
    if catalog:
        drawn = list(sample_catalog.draw(catalog))
        for half, use in (("dev", "was read"), ("held-out", "judges")):
            rows = [(f"c{n:04}", row[-1]) for n, row in enumerate(drawn) if row[0] == half]
            yield f"-11 {half}", rows, "-11", "-11-second", use


def main():
    weights = {name: int(weight) for weight, name in (line.split("\t", 1) for line in WEIGHTS.read_text().splitlines())}
    print("round\tsentences\tkappa\tconstraints\tfound\ttoo many\trecall\tprecision\t")
    for name, rows, first, second, use in rounds(sys.argv[2] if len(sys.argv) > 2 else None):
        one, other = labels(first), labels(second)
        said = subprocess.run(
            [sys.argv[1]], input="\n".join(row[-1] for row in rows), capture_output=True, text=True, check=True
        ).stdout.split("\n")
        judged = []
        for row, line in zip(rows, said):
            features = set(line.split("\t"))
            score = weights["bias"] + sum(weights.get(feature, 0) for feature in features - {"sure", "open", "bias"})
            if one[row[0]] == other[row[0]]:
                judged.append((one[row[0]] == "yes", "sure" in features or score >= 0))
        wanted, kept = sum(a for a, _ in judged), sum(b for _, b in judged)
        found = sum(a and b for a, b in judged)
        shares = [sum(x[row[0]] == "yes" for row in rows) / len(rows) for x in (one, other)]
        chance = shares[0] * shares[1] + (1 - shares[0]) * (1 - shares[1])
        kappa = (len(judged) / len(rows) - chance) / (1 - chance)
        print(
            f"{name[1:]}\t{len(judged)} of {len(rows)}\t{kappa:.3f}\t{wanted}\t{found}\t{kept - found}"
            f"\t{found / wanted:.3f}\t{found / kept:.3f}\t{use}"
        )


if __name__ == "__main__":
    main()
