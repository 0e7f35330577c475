#!/usr/bin/env python3
"""Learns the weights of the constraint checker from the labelled sentences.

usage: train.py <program that prints features> [--check] > src/surface/constraints/weights.tsv

The program is `examples/constraint_features.rs`; features are made there and nowhere else. Logistic regression with
an L2 penalty, by coordinate steps that never overshoot, in plain Python: nothing is drawn by chance but the folds of
the check, and those are seeded. The same labels and the same program give the same file.

Sentences learned from: rounds 1 to 8 and `sentences-learn-1.tsv` to `-8.tsv`; never those of another reader, never a
round that still judges. Rounds 5 to 8, whose readers wrote no rule, and what else their servers say count twice. Rules were written on the rounds, so there
they look better than they are: what says that some rule holds (features that end in " any") is not learned from them.

`--check` leaves servers out instead of writing: each tenth of the servers is judged by weights learned from the
others, and recall and precision are printed for some thresholds, over three ways to cut the servers.
"""

import itertools
import math
import random
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
READ = ["", "-2", "-3", "-4", "-5", "-6", "-7", "-8"]
LEARN = [f"-learn-{n}" for n in range(1, 9)]
# How often a sentence counts, where that is not once.
TIMES = {"-5": 2.0, "-6": 2.0, "-7": 2.0, "-8": 2.0, "-learn-7": 2.0}
# Rounds with a second reader: what the two do not agree on is neither learned from nor judged.
SECOND = {"-5", "-6", "-7", "-8"}
# Inverse of the penalty, least sentences and servers of a feature, and passes over all features.
STRENGTH, LEAST_SENTENCES, LEAST_SERVERS, PASSES = 0.2, 5, 3, 60
# A sentence is taken for a constraint from this probability on: in which a rule holds, and in which none does.
# Chosen with sentences of rounds 7 and 8 and of the seventh set left out, for recall.
WITH_RULE, WITHOUT_RULE = 0.1, 0.15
SCALE = 1000
# Weights nearer to nothing than this are not written.
LEAST_WEIGHT = 100
FOLDS, SEEDS = 10, (20261128, 20261129, 20261130)


def load(program):
    rows = []
    for name in READ + LEARN:
        labels = dict(line.split("\t") for line in (HERE / f"labels{name}.tsv").read_text().splitlines()[1:])
        cells = [line.split("\t") for line in (HERE / f"sentences{name}.tsv").read_text().splitlines()[1:]]
        if name in SECOND:
            second = dict(line.split("\t") for line in (HERE / f"labels{name}-second.tsv").read_text().splitlines()[1:])
            cells = [row for row in cells if labels[row[0]] == second[row[0]]]
        said = subprocess.run(
            [program], input="\n".join(row[-1] for row in cells), capture_output=True, text=True, check=True
        ).stdout.split("\n")
        for row, line in zip(cells, said):
            features = line.split("\t")
            has_rule = "r any" in features
            server = row[2] if name in READ else row[1]
            is_sure = "sure" in features
            features = sorted(set(features) - {"sure", "open"})
            rows.append((name, server, labels[row[0]] == "yes", is_sure, features, has_rule))
    return rows


def learned_from(row):
    """The features of a sentence that weights are learned from."""
    return [feature for feature in row[4] if row[0] not in READ or not feature.endswith(" any")]


def vocabulary(rows):
    sentences, servers = {}, {}
    for row in rows:
        server = row[1]
        for feature in learned_from(row):
            sentences[feature] = sentences.get(feature, 0) + 1
            servers.setdefault(feature, set()).add(server)
    return sorted(
        feature
        for feature, n in sentences.items()
        if n >= LEAST_SENTENCES and len(servers[feature]) >= LEAST_SERVERS and feature.isprintable()
    )


def learn(rows):
    """Returns the bias and the weight of each feature."""
    names = vocabulary(rows)
    place = {name: n for n, name in enumerate(names)}
    having = [[] for _ in names]
    for n, row in enumerate(rows):
        for feature in learned_from(row):
            if feature in place:
                having[place[feature]].append(n)
    wanted = [1.0 if row[2] else 0.0 for row in rows]
    times = [TIMES.get(row[0], 1.0) for row in rows]
    weights, bias, scores = [0.0] * len(names), 0.0, [0.0] * len(rows)
    wrong = [(0.5 - y) * n for y, n in zip(wanted, times)]
    # A quarter of the members bounds the curvature, so no step goes too far.
    curved = [0.25 * sum(times[n] for n in members) + 1 / STRENGTH for members in having]

    def move(members, step):
        for n in members:
            scores[n] += step
            wrong[n] = (1 / (1 + math.exp(-scores[n])) - wanted[n]) * times[n]

    for _ in range(PASSES):
        step = -sum(wrong) / (0.25 * sum(times))
        bias += step
        move(range(len(rows)), step)
        for feature, members in enumerate(having):
            slope = sum(wrong[n] for n in members) + weights[feature] / STRENGTH
            step = -slope / curved[feature]
            if abs(step) > 1e-5:
                weights[feature] += step
                move(members, step)
    return bias, dict(zip(names, weights))


def chance(bias, weights, features):
    score = bias + sum(weights.get(feature, 0.0) for feature in features)
    return 1 / (1 + math.exp(-score))


def left_out(rows, seed):
    """Judges each sentence by weights learned without its server."""
    servers = sorted({row[1] for row in rows})
    random.Random(seed).shuffle(servers)
    fold = {server: n % FOLDS for n, server in enumerate(servers)}
    for n in range(FOLDS):
        bias, weights = learn([row for row in rows if fold[row[1]] != n])
        for row in rows:
            if fold[row[1]] == n:
                yield row[0], row[2], 1.0 if row[3] else chance(bias, weights, row[4]), row[5]


def check(rows):
    judged = [one for seed in SEEDS for one in left_out(rows, seed)]
    print("with rule\twithout\tall\trounds 1 to 4\tround 5\tround 6\tlearn (recall, precision)")
    for least, other in itertools.product((0.04, 0.06, 0.08, 0.1, 0.12, 0.15), (0.12, 0.15, 0.2, 0.25, 0.3)):
        cells = [f"{least}", f"{other}"]
        for names in (READ + LEARN, READ[:4], READ[4:5], READ[5:], LEARN):
            some = [
                (is_one, p >= (least if has_rule else other)) for name, is_one, p, has_rule in judged if name in names
            ]
            found = sum(is_one and is_found for is_one, is_found in some)
            recall = found / sum(is_one for is_one, _ in some)
            precision = found / max(1, sum(is_found for _, is_found in some))
            cells.append(f"{recall:.3f} {precision:.3f}")
        print("\t".join(cells))


def log_odds(p):
    return math.log(p / (1 - p))


def main():
    rows = load(sys.argv[1])
    if "--check" in sys.argv[2:]:
        check(rows)
        return
    bias, weights = learn(rows)
    bias -= log_odds(WITHOUT_RULE)
    weights["r any"] += log_odds(WITHOUT_RULE) - log_odds(WITH_RULE)
    print(f"{round(bias * SCALE)}\tbias")
    for name, weight in sorted(weights.items()):
        if abs(round(weight * SCALE)) >= LEAST_WEIGHT:
            print(f"{round(weight * SCALE)}\t{name}")


if __name__ == "__main__":
    main()
