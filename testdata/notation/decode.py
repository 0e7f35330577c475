#!/usr/bin/env python3
"""Reads the notation of docs/notation.md back: decode.py FILE... writes what each FILE says to FILE.decoded.
JSON comes back without white space; digits, escapes and order of keys as they were."""
import json, re, sys

FILL = "A[], A() fill A's valueless keys"
NOTES = [f"JSON; rows in {FILL}", f"JSON; {FILL}; @ string", "JSON; abbreviations first", f"JSON texts; rows in {FILL}",
         f"Python; rows in {FILL}", "Lines; ×N: stands N times"]
STRING, NAME, HOLE = re.compile(r'"(?:[^"\\]|\\.)*"'), re.compile("[A-Z]+"), re.compile(r"\$(\$|[0-9]*)")
SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null|\$[0-9]+")
BARE, CALL = re.compile(r"[^,)\]\n]+"), re.compile(r'["\[{@]|[A-Z]+[(\[]')
Number = type("Number", (str,), {"__repr__": str.__str__})  # Python prints it with the digits it was sent with

class Reader:
    def __init__(self, text, in_template):
        self.text, self.at, self.in_template = text, 0, in_template
    def take(self, pattern):
        match = pattern.match(self.text, self.at)
        self.at = match.end()
        return match[0]
    def eat(self, sign):
        self.at += (found := self.text.startswith(sign, self.at))
        return found
    def chain(self, read, sign, end=""):
        items = [] if end and self.text[self.at] == end else [read()]
        while self.eat(sign):
            items.append(read())
        self.at += len(end)
        return items
    def member(self):  # a key without a value takes the next cell
        return self.take(STRING), self.value() if self.eat(":") else ("fill", "$")
    def value(self):
        if self.eat("@"): return "string", (", ", ": ") if self.eat(":") else (",", ":"), self.value()
        if self.eat("["): return "list", self.chain(self.value, ",", "]")
        if self.eat("{"): return "object", self.chain(self.member, ",", "}")
        if not NAME.match(self.text, self.at):
            text = self.take(STRING if self.text[self.at] == '"' else SCALAR)
            return "fill" if self.in_template else "raw", text
        name = self.take(NAME)
        if not self.eat("(") and not self.eat("["): return "row", name
        kind, before, self.in_template = self.text[self.at - 1], self.in_template, False
        rows = self.chain(lambda: self.chain(self.cell, ","), "\n")
        self.at, self.in_template = self.at + 1, before
        return kind, name, rows
    def cell(self):  # nothing between two commas: the key is missing
        if not BARE.match(self.text, self.at) or CALL.match(self.text, self.at):
            return self.value() if CALL.match(self.text, self.at) else None
        bare = self.take(BARE)
        return "raw", bare if SCALAR.fullmatch(bare) else f'"{bare}"'

def holes(node, templates):  # for each cell that a template takes: whether $1, $2 … count it
    if node[0] == "row":
        yield from (False for _ in holes(templates[node[1]], templates))
    elif node[0] == "object":
        for _, inner in node[1]:
            yield from holes(inner, templates)
    elif node[0] == "fill" and "" in HOLE.findall(node[1]): yield True

def show(node, seps, templates, cells=None, own=None):
    kind, what = node[0], node[1]
    if kind == "list": return "[" + seps[0].join(show(item, seps, templates) for item in what) + "]"
    if kind == "object":
        members = [(key, show(value, seps, templates, cells, own)) for key, value in what]
        return "{" + seps[0].join(key + seps[1] + text for key, text in members if text is not None) + "}"
    if kind == "string": return json.dumps(show(node[2], what, templates), ensure_ascii=False)
    if kind in "([":
        rows = [iter([cell and show(cell, seps, templates) for cell in row]) for row in node[2]]
        text = seps[0].join(show(("row", what), seps, templates, row) for row in rows)
        return text if kind == "(" else f"[{text}]"
    if kind == "row":
        row = [(next(cells), counts) for counts in holes(templates[what], templates)]
        return show(templates[what], seps, templates, iter([c for c, _ in row]), [c for c, counts in row if counts])
    if kind == "raw": return what
    used = ["$" if hole == "$" else next(cells) if hole == "" else own[int(hole) - 1] for hole in HOLE.findall(what)]
    bare = iter([cell[1:-1] if cell and cell[0] == what[0] == '"' else cell for cell in used])
    return None if None in used else HOLE.sub(lambda _: next(bare), what)

def body(note, text):
    if note.startswith("Lines"): return re.sub(r"(?m)^(.*) ×([0-9]+)$", lambda m: "\n".join([m[1]] * int(m[2])), text)
    short, templates = {}, {}
    while text[0] in "~^§¶":
        line, text = text.split("\n", 1)
        short[line[:2]] = line[3:]
    text = re.sub(f"[{re.escape(min(short)[0])}].", lambda m: short[m[0]], text) if short else text
    while match := re.match("([A-Z]+)=", text):
        line, text = text.split("\n", 1)
        templates[match[1]] = Reader(line[match.end():], True).value()
    reader = Reader(text, False)  # what stands behind the value is text again
    value = show(reader.value(), (",", ":"), templates)
    value = repr(json.loads(value, parse_int=Number, parse_float=Number)) if note.startswith("Python") else value
    return value + decode(text[reader.at:])

def decode(text):
    if not (match := re.search("^(" + "|".join(map(re.escape, NOTES)) + ")\n", text, re.M)): return text
    before, rest = text[:match.start()], text[match.end():]
    end = rest.index("\n```") if re.search("(^|\n)```[^\n]*\n$", before) else len(rest)
    return before + body(match[1], rest[:end]) + decode(rest[end:])

for name in sys.argv[1:]:
    open(name + ".decoded", "wb").write(decode(open(name, "rb").read().decode()).encode())
