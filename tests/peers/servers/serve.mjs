// What the TypeScript servers share: the command line, and the words all four servers use.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
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
  const address = /^(\d+\.\d+\.\d+\.\d+):(\d+)$/.exec(values.http ?? "");
  if (!address) {
    console.error("usage: SERVER --stdio | --http ADDRESS:PORT");
    process.exit(2);
  }
  const answer = (request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    if (path !== "/mcp") return void response.writeHead(path === "/healthz" ? 200 : 404).end();
    Promise.resolve(handle(request, response)).catch((error) => {
      console.error(error);
      if (!response.headersSent) response.writeHead(500).end();
    });
  };
  const { SERVER_CERT: cert, SERVER_KEY: key } = process.env;
  const server = cert
    ? createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, answer)
    : createServer(answer);
  server.listen(Number(address[2]), address[1], () =>
    console.error(`listening ${cert ? "https" : "http"}://${address[1]}:${server.address().port}/mcp`),
  );
}
