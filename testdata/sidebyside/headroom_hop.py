#!/usr/bin/env python3
"""Puts headroom's library on the way of an MCP stdio server, for examples/side_by_side.

headroom is no MCP hop itself. This relays lines and gives each text block of a result to
`headroom.compress` as the content of a tool message.

    headroom_hop.py MODE COMMAND ...    MODE: `agent` (its lossless mode) or `default`
"""

import contextlib
import json
import os
import subprocess
import sys
import threading

os.environ.setdefault("HEADROOM_OFFLINE", "1")
import headroom

mode = None if sys.argv[1] == "default" else sys.argv[1]
server = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def forward():
    for line in sys.stdin.buffer:
        server.stdin.write(line)
        server.stdin.flush()
    server.stdin.close()


def shaped(text):
    messages = [
        {"role": "user", "content": "Show the captured result."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "captured_result", "arguments": "{}"},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": text},
    ]
    # It prints progress; stdout is the protocol.
    with contextlib.redirect_stdout(sys.stderr):
        done = headroom.compress(
            messages,
            model="gpt-4o",
            mode=mode,
            protect_recent=0,
            kompress_model="disabled",
        )
    return done.messages[-1]["content"]


threading.Thread(target=forward, daemon=True).start()
for line in server.stdout:
    message = json.loads(line)
    for block in (message.get("result") or {}).get("content", []):
        if block.get("type") == "text":
            block["text"] = shaped(block["text"])
    print(json.dumps(message, ensure_ascii=False), flush=True)
