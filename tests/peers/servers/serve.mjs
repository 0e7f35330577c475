// What the TypeScript servers share: the command line, and the words all four servers use.
import { createServer } from "node:http";
import { parseArgs } from "node:util";

export const COUNTER = "test://counter";
export const ITEMS = ["alpha", "beta", "gamma"];
export const NAMES = ["ada", "alan", "barbara"];

export const startingWith = (values) => (prefix) => values.filter((value) => value.startsWith(prefix ?? ""));
export const text = (value) => ({ content: [{ type: "text", text: String(value) }] });

/** Waits, but not past a cancellation; says whether the wait was cancelled. */
export const wait = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    const stop = () => (clearTimeout(timer), resolve(true));
    signal.aborted ? stop() : signal.addEventListener("abort", stop, { once: true });
  });

/**
 * Between two steps of progress, and before the answer: SDK v1 clients drop progress that
 * arrives in one read with the answer, because they settle the call first.
 */
export const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

/** Starts what the command line asks for; `handle` is a node:http request handler. */
export function serve({ stdio, handle }) {
  const { values } = parseArgs({ options: { stdio: { type: "boolean" }, http: { type: "string" } } });
  if (values.stdio) return stdio();
  const address = /^127\.0\.0\.1:(\d+)$/.exec(values.http ?? "");
  if (!address) {
    console.error("usage: SERVER --stdio | --http 127.0.0.1:PORT");
    process.exit(2);
  }
  const server = createServer((request, response) => {
    if (new URL(request.url, "http://localhost").pathname !== "/mcp") return void response.writeHead(404).end();
    Promise.resolve(handle(request, response)).catch((error) => {
      console.error(error);
      if (!response.headersSent) response.writeHead(500).end();
    });
  });
  server.listen(Number(address[1]), "127.0.0.1", () =>
    console.error(`listening http://127.0.0.1:${server.address().port}/mcp`),
  );
}
