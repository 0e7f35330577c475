#!/usr/bin/env python3
"""Captures images that real MCP servers answer with, over stdio and with nothing in between.

    capture.py FOLDER

FOLDER has a node_modules with the servers of README.md (npm install of the versions named there); Debian's
`chromium` is on the path. Writes one file for each answer beside this script. The page and the chart data are
made here from a seeded generator, so nothing of others is in the pictures but the fonts they are drawn with.
Needs the Python standard library only.
"""
import base64, http.server, json, pathlib, random, shutil, subprocess, sys, tempfile, threading

HERE = pathlib.Path(__file__).parent
NUMBERS = random.Random(20261128)


def page():
    rows = "".join(
        "<tr>" + f"<td>build-{n}</td><td>{NUMBERS.choice(['passed', 'failed', 'running'])}</td>"
        f"<td>{NUMBERS.randint(10, 999)} s</td><td>{'%010x' % NUMBERS.getrandbits(40)}</td></tr>"
        for n in range(24))
    return ("<!doctype html><title>Builds</title><style>body{font:16px DejaVu Sans;margin:24px}"
            "td{padding:4px 18px;border-bottom:1px solid #ccc}</style><h1>Builds of a project</h1><table>"
            + rows + "</table>").encode()


def serve():
    body = page()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


class Server:
    """One stdio server of the legacy era."""

    def __init__(self, command, cwd):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, cwd=cwd)
        self.n = 0
        self.ask("initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                                "clientInfo": {"name": "capture", "version": "1"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.n += 1
        self.send({"jsonrpc": "2.0", "id": self.n, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("id") == self.n and "method" not in message:
                return message
        raise SystemExit(f"the server ended during {method}")

    def call(self, name, **arguments):
        params = {"name": name, "arguments": arguments}
        return {"request": {"method": "tools/call", "params": params}, "response": self.ask("tools/call", params)}

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def write(name, captured, origin):
    blocks = captured["response"]["result"]["content"]
    images = [block for block in blocks if block["type"] == "image"]
    assert images, f"{name}: no image: {json.dumps(captured)[:400]}"
    captured.update(origin="live", note=origin)
    text = json.dumps(captured, ensure_ascii=False, indent=1)
    (HERE / f"{name}.json").write_text(text + "\n")
    for block in images:
        print(name, block["mimeType"], len(base64.b64decode(block["data"])), "bytes")


def main(folder):
    modules = pathlib.Path(folder).resolve() / "node_modules"
    version = lambda name: json.loads((modules / name / "package.json").read_text())["version"]
    node = lambda path, *arguments: ["node", str(modules / path), *arguments]
    work = pathlib.Path(tempfile.mkdtemp())

    charts = Server(node("mcp-echarts/build/index.js"), work)
    origin = f"npm mcp-echarts {version('mcp-echarts')} (MIT)"
    series = []
    for group in ["north", "south"]:
        value = 200
        for week in range(40):
            value += NUMBERS.randint(-20, 22)
            series.append({"group": group, "time": f"2025-W{week:03}", "value": value})
    write("echarts--line", charts.call("generate_line_chart", title="Orders by week", axisXTitle="week",
          axisYTitle="orders", data=series, width=2400, height=1350, showSymbol=False), origin)
    bars = [{"category": f"{NUMBERS.choice('abcdefgh')}-{n}", "value": NUMBERS.randint(1, 99)} for n in range(24)]
    write("echarts--bar", charts.call("generate_bar_chart", title="Errors by service", data=bars, width=1000,
          height=3000), origin)
    write("echarts--default-size", charts.call("generate_bar_chart", title="Errors by service", data=bars), origin)
    charts.end()

    address = serve()
    browser = Server(node("@playwright/mcp/cli.js", "--headless", "--isolated", "--no-sandbox", "--executable-path",
                          shutil.which("chromium"), "--viewport-size", "2560,1440", "--output-dir", str(work)), work)
    origin = f"npm @playwright/mcp {version('@playwright/mcp')} (Apache-2.0) with Debian's chromium, a page made here"
    browser.call("browser_navigate", url=address)
    write("playwright--png", browser.call("browser_take_screenshot", type="png"), origin)
    write("playwright--jpeg", browser.call("browser_take_screenshot", type="jpeg"), origin)
    browser.call("browser_close")
    browser.end()

    # A server that hands on files, here pictures that the browser wrote.
    shot = work / "shot.png"
    chrome = [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
              "--window-size=1920,1200"]
    subprocess.run([*chrome, f"--screenshot={shot}", address], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    to_webp = ("<script>const image=new Image();image.onload=()=>{const canvas=document.createElement('canvas');"
               "canvas.width=image.width;canvas.height=image.height;canvas.getContext('2d').drawImage(image,0,0);"
               "document.body.textContent=canvas.toDataURL('image/webp',0.8)};image.src='data:image/png;base64,"
               + base64.b64encode(shot.read_bytes()).decode() + "'</script><body></body>")
    (work / "webp.html").write_text(to_webp)
    page_text = subprocess.run([*chrome, "--virtual-time-budget=10000", "--dump-dom", str(work / "webp.html")],
                               check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
    data = page_text.rsplit("data:image/webp;base64,", 1)[1].split("<")[0]
    (work / "shot.webp").write_bytes(base64.b64decode(data))
    files = Server(node("@modelcontextprotocol/server-filesystem/dist/index.js", str(work)), work)
    origin = (f"npm @modelcontextprotocol/server-filesystem {version('@modelcontextprotocol/server-filesystem')} (MIT),"
              " a screenshot of a page made here")
    for name in ["shot.png", "shot.webp"]:
        captured = files.call("read_media_file", path=str(work / name))
        captured["request"]["params"]["arguments"]["path"] = name
        captured["response"]["result"].pop("structuredContent", None)
        write(f"filesystem--{name.replace('.', '-')}", captured, origin)
    files.end()
    shutil.rmtree(work)


if __name__ == "__main__":
    main(sys.argv[1])
