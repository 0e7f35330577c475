"""Asks mcp-compressor what it lists and answers in front of the fleets of this folder.

    cargo install --locked mcp-compressor --version 0.40.0     # 22 minutes on two cores
    surface_report lists CORPUS > queries.jsonl; surface_report queries CORPUS >> queries.jsonl
    python3 mcp_compressor.py queries.jsonl > compressor.jsonl

One server per fleet replays the prefixed definitions. For each level: the tools listed, the text of
`list_tools` where there is one, and the answer of `get_tool_schema` for every tool.
"""

import json
import subprocess
import sys

LEVELS = ("low", "medium", "high", "max")


def fleets(path):
    return [json.loads(line) for line in open(path)]


def serve(path, name):
    tools = next(fleet["tools"] for fleet in fleets(path) if fleet["fleet"] == name)
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        result = {}
        if request["method"] == "initialize":
            result = {
                "protocolVersion": request["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "fleet", "version": "1"},
            }
        elif request["method"] == "tools/list":
            result = {"tools": tools}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)


class Client:
    def __init__(self, command):
        pipe = subprocess.PIPE
        self.child = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self.n = 0
        client = {"name": "report", "version": "1"}
        self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.child.stdin.write(json.dumps(message) + "\n")
        self.child.stdin.flush()

    def ask(self, method, **params):
        self.n += 1
        self.send({"jsonrpc": "2.0", "id": self.n, "method": method, "params": params})
        for line in self.child.stdout:
            message = json.loads(line)
            if message.get("id") == self.n:
                return message["result"]
        raise SystemExit("mcp-compressor ended")

    def call(self, name, arguments):
        result = self.ask("tools/call", name=name, arguments=arguments)
        return "".join(block.get("text", "") for block in result["content"])


def main(path):
    for fleet in fleets(path):
        for level in LEVELS:
            server = [sys.executable, __file__, "--serve", path, fleet["fleet"]]
            client = Client(["mcp-compressor", "-c", level, "--", *server])
            tools = client.ask("tools/list")["tools"]
            names = [tool["name"] for tool in tools]
            schema = next(name for name in names if name.endswith("get_tool_schema"))
            listing = next((name for name in names if name.endswith("list_tools")), None)
            answer = {"fleet": fleet["fleet"], "level": level, "list": tools}
            answer["invoke"] = next(name for name in names if name.endswith("invoke_tool"))
            answer["listing"] = client.call(listing, {}) if listing else None
            answer["schemas"] = {
                tool["name"]: client.call(schema, {"tool_name": tool["name"]})
                for tool in fleet["tools"]
            }
            print(json.dumps(answer))
            client.child.kill()


if sys.argv[1] == "--serve":
    serve(*sys.argv[2:4])
else:
    main(sys.argv[1])
