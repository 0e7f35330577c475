#!/usr/bin/env python3
"""Asks questions about large tool results, from the originals alone: nothing here knows how they are cut.

    ask.py RESULTS_FOLDER [--least-bytes N] [--seed N]  > questions.jsonl

A result is `{"response": {"result": {"content": [{"type": "text", "text": …}]}}}` in a file of its own. Kinds:
`needle` (a value in a random record, a piece of a random line), `count` (elements, lines, lines with a word), `max`
(of a number that many records or lines have), `last` (element, line) and `error` (a line or value that names one).
Each line of the output: file, kind, question, key (what a reader would search for), name (of the field), answer, and
where the key is the value of a field, the name of that.
"""

import argparse, ast, collections, json, pathlib, random, re


def text_of(path):
    record = json.loads(path.read_text())
    response = record.get("response", record)
    response = json.loads(response) if isinstance(response, str) else response
    blocks = response.get("result", {}).get("content", [])
    return "\n".join(block["text"] for block in blocks if block.get("type") == "text")


class Float(str):
    """A number with a point, as it is spelled."""


def value_of(text):
    try:
        return json.loads(text, parse_float=Float)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text) if text.lstrip()[:1] in "[{" else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def shown(value):
    """A string or a number as it reads; nothing for all else."""
    is_scalar = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return str(value) if is_scalar else None


def walk(value, path=()):
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, child in inner:
        yield from walk(child, path + (key,))


def number(value):
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return float(value) if isinstance(value, (float, Float)) else None


def scalars(record):
    return [(key, shown(value)) for key, value in record.items() if shown(value) and "\n" not in shown(value)]


def ask_value(value, dice):
    everything = list(walk(value))
    records = [(path, child) for path, child in everything if isinstance(child, dict)]
    seen = collections.Counter(shown(child) for _, child in everything if shown(child))
    dice.shuffle(records)
    asked = 0
    for path, record in records:
        fields = scalars(record)
        names = [(key, text) for key, text in fields if seen[text] == 1 and 4 <= len(text) <= 80]
        if not names:
            continue
        name, known = dice.choice(names)
        others = [(key, text) for key, text in fields if key != name and 3 <= len(text) <= 80]
        if others:
            key, answer = dice.choice(others)
            yield "needle", f"Where {name} is {known}: what is {key}?", known, str(key), answer, str(name)
            asked += 1
        if asked == 2:
            break
    arrays = [(path, child) for path, child in everything if isinstance(child, (list, tuple)) and len(child) >= 10]
    if arrays:
        path, array = max(arrays, key=lambda found: len(json.dumps(found[1], default=str)))
        place = "/" + "/".join(map(str, path)) if path else "the top level"
        yield "count", f"How many elements has {place}?", "", "elements", str(len(array))
        objects = [child for child in array if isinstance(child, dict)]
        columns = collections.defaultdict(list)
        for record in objects:
            for key, child in record.items():
                if number(child) is not None:
                    columns[key].append(child)
        columns = {key: column for key, column in columns.items() if len(column) >= 10 and len(set(map(str, column))) > 1}
        for key in dice.sample(sorted(columns), min(2, len(columns))):
            yield "max", f"What is the largest {key} in {place}?", "", str(key), str(max(columns[key], key=number))
        if objects and (fields := [field for field in scalars(array[-1]) if 2 <= len(field[1]) <= 80]):
            key, answer = dice.choice(fields)
            yield "last", f"What is {key} of the last element of {place}?", "", str(key), answer
        elif not objects and shown(array[-1]) and len(shown(array[-1])) <= 80:
            yield "last", f"What is the last element of {place}?", "", "", shown(array[-1])
    errors = [shown(child) for _, child in everything if shown(child) and 6 <= len(shown(child)) <= 120 and ERROR.search(shown(child))]
    if errors:
        answer = dice.choice(sorted(set(errors)))
        yield "error", f"Is there an error that says: {answer}?", ERROR.search(answer).group(), "", answer


ERROR = re.compile(r"\b(ERROR|error|Error|FATAL|fatal|failed|Failed|FAILED|exception|Exception)\b")
NAMED = re.compile(r"""["']?\b([A-Za-z_][A-Za-z_0-9]*)["']?[=:] ?(\d+(?:\.\d+)?)\b(?![:\-/])""")


def ask_lines(text, dice):
    lines = text.split("\n")
    words = collections.Counter(re.findall(r"[\w.-]{5,}", text))
    full = [line for line in lines if len(line.strip()) >= 30]
    asked = 0
    for line in dice.sample(full, min(60, len(full))):
        rare = [word for word in re.finditer(r"[\w.-]{5,40}", line) if words[word.group()] == 1]
        if not rare:
            continue
        word = dice.choice(rare)
        around = [line[word.end() : word.end() + 40].strip(), line[max(0, word.start() - 40) : word.start()].strip()]
        answer = next((piece for piece in around if len(piece) >= 8), None)
        if answer:
            yield "needle", f"What stands beside {word.group()}?", word.group(), "", answer
            asked += 1
        if asked == 2:
            break
    n_lines = len(lines) - (lines[-1] == "")
    if n_lines >= 10:
        yield "count", "How many lines are there?", "", "lines", str(n_lines)
        for word in ("ERROR", "error", "warning"):
            count = sum(bool(re.search(rf"\b{word}\b", line)) for line in lines)
            if count >= 5:
                yield "count", f"How many lines have the word {word}?", rf"\b{word}\b", word, str(count)
                break
    columns = collections.defaultdict(list)
    for name, found in NAMED.findall(text):
        columns[name].append(found)
    columns = {name: column for name, column in columns.items() if len(column) >= 20 and len(set(column)) > 2}
    for name in dice.sample(sorted(columns), min(1, len(columns))):
        yield "max", f"What is the largest {name}?", "", name, max(columns[name], key=float)
    yield from ask_table(lines, dice)
    last = next((line.strip() for line in reversed(lines) if len(line.strip()) > 3), None)
    if last:
        yield "last", "What does the last line say?", "", "", last[:60].strip()
    errors = sorted({line.strip() for line in lines if ERROR.search(line) and len(line) < 400})
    if errors:
        line = dice.choice(errors)
        found = ERROR.search(line)
        answer = line[max(0, found.start() - 10) : found.end() + 40].strip()
        yield "error", "Which line with an error is there?", found.group(), "", answer


def ask_table(lines, dice):
    """The largest number of a column of CSV or of a Markdown table."""
    head = next((line for line in lines if line.strip()), "")
    for mark in ("|", ",", "\t"):
        names = [name.strip() for name in head.strip().strip("|").split(mark)]
        if len(names) < 3 or not all(re.fullmatch(r"[A-Za-z_ ]+", name) for name in names):
            continue
        first = [line.strip().strip("|").split(mark)[0].strip() for line in lines[1:]]
        column = [cell for cell in first if re.fullmatch(r"\d+", cell)]
        if len(column) >= 10:
            yield "max", f"What is the largest {names[0]}?", "", names[0], max(column, key=int)
            return


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--least-bytes", type=int, default=12_000)
    options.add_argument("--seed", type=int, default=7)
    options = options.parse_args()
    for path in sorted(options.folder.rglob("*.json")):
        name = str(path.relative_to(options.folder))
        dice = random.Random(f"{options.seed}:{name}")
        text = text_of(path)
        if len(text.encode()) < options.least_bytes:
            continue
        value = value_of(text)
        for asked in ask_lines(text, dice) if value is None else ask_value(value, dice):
            print(json.dumps({"file": name} | dict(zip(("kind", "question", "key", "name", "answer", "where"), asked))))


if __name__ == "__main__":
    main()
