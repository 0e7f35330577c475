#!/usr/bin/env python3
"""Draws sentences of servers written in Python, to learn from.

usage: sample_pypi.py FOLDER [1|2] > sentences-learn-6.tsv (2: sentences-learn-8.tsv)

FOLDER holds the wheels or source archives of `pypi.tsv` (2: `pypi-2.tsv`; `pip download --no-deps NAME==VERSION`); nothing is run. Takes
docstrings of functions with a decorator that ends in `tool` or `.tool(…)`, and strings given as `description=`; cuts
them into sentences as `sample.py` does, and draws up to 60 (18) of each package, seeded. Nothing that another file of
sentences has.
"""

import ast
import inspect
import random
import sys
import tarfile
import zipfile
from pathlib import Path

from sample import letters, sentences

# Of each set: the seed, most sentences of a package, the packages, the file made, and how its ids begin.
SETS = [
    (20261205, 60, "pypi.tsv", "sentences-learn-6.tsv", "u"),
    (20261209, 18, "pypi-2.tsv", "sentences-learn-8.tsv", "w"),
]
# What was drawn after the first set.
LATER = ("sentences-9.tsv", "sentences-8.tsv", "sentences-learn-7.tsv", "sentences-learn-8.tsv")
HERE = Path(__file__).parent


def sources(path):
    """(name, text) of each Python file of an archive."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".py"):
                    yield name, archive.read(name).decode(errors="replace")
    else:
        with tarfile.open(path) as archive:
            for member in sorted(archive.getmembers(), key=lambda member: member.name):
                if member.isfile() and member.name.endswith(".py"):
                    yield member.name, archive.extractfile(member).read().decode(errors="replace")


def is_tool(decorator):
    named = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(named, ast.Attribute) and named.attr == "tool" or isinstance(named, ast.Name) and named.id == "tool"


def texts(source):
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if any(is_tool(decorator) for decorator in node.decorator_list):
                yield inspect.cleandoc(ast.get_docstring(node) or "")
        elif isinstance(node, ast.keyword) and node.arg == "description":
            if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                yield inspect.cleandoc(node.value.value)


def main():
    number = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    seed, per_package, packages, made, prefix = SETS[number - 1]
    chance, drawn, earlier = random.Random(seed), [], set()
    for other in sorted(HERE.glob("sentences*.tsv")):
        if other.name != made and not (number == 1 and other.name in LATER):
            earlier.update(letters(row.split("\t")[-1]) for row in other.read_text().splitlines()[1:])
    for line in (HERE / packages).read_text().splitlines()[1:]:
        name, _, archive = line.split("\t")[:3]
        seen = {}
        for file, source in sources(Path(sys.argv[1]) / archive):
            for text in texts(source):
                for sentence in sentences(text):
                    seen.setdefault(sentence, file)
        found, n_of_package = sorted(seen.items()), 0
        chance.shuffle(found)
        for sentence, file in found:
            if letters(sentence) not in earlier and n_of_package < per_package:
                earlier.add(letters(sentence))
                drawn.append((name, file, sentence))
                n_of_package += 1
    chance.shuffle(drawn)
    print("id\tpackage\tfile\tsentence")
    for n, row in enumerate(drawn):
        print("\t".join([f"{prefix}{n:04}", *row]))


if __name__ == "__main__":
    main()
