#!/usr/bin/env python3
"""A FastMCP proxy in front of one stdio server, as its documentation makes one.

    fastmcp_proxy.py -- COMMAND ...
"""

import sys

from fastmcp.server import create_proxy

command = sys.argv[sys.argv.index("--") + 1 :]
config = {"mcpServers": {"echo": {"command": command[0], "args": command[1:]}}}
create_proxy(config, name="bench").run(transport="stdio", show_banner=False)
