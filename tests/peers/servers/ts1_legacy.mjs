// Real server on the TypeScript SDK v1: legacy era only, over stdio or streamable HTTP
// with sessions. See README.md for what it offers.
import { randomUUID } from "node:crypto";
import { modules } from "../modules.mjs";
import { COUNTER, ITEMS, NAMES, pause, serve, startingWith, text, wait } from "./serve.mjs";

const load = modules("v1");
const { McpServer, ResourceTemplate } = load("@modelcontextprotocol/sdk/server/mcp.js");
const { StdioServerTransport } = load("@modelcontextprotocol/sdk/server/stdio.js");
const { StreamableHTTPServerTransport } = load("@modelcontextprotocol/sdk/server/streamableHttp.js");
const { completable } = load("@modelcontextprotocol/sdk/server/completable.js");
const schemas = load("@modelcontextprotocol/sdk/types.js");
const { z } = load("zod");

// Of the process, not of a session: another session may ask what the first one did.
let cancelled = 0;
let counter = 0;
const sessions = new Set();

function createServer() {
  const capabilities = { logging: {}, resources: { subscribe: true } };
  const mcp = new McpServer({ name: "ts1-legacy", version: "1.0.0" }, { capabilities });
  const session = { mcp, subscribed: new Set() };
  sessions.add(session);
  mcp.server.onclose = () => sessions.delete(session);

  const progress = async (extra, value, total) => {
    const progressToken = extra._meta?.progressToken;
    if (progressToken === undefined) return;
    await extra.sendNotification({ method: "notifications/progress", params: { progressToken, progress: value, total } });
  };
  const tool = (name, description, inputSchema, run) => mcp.registerTool(name, { description, inputSchema }, run);

  tool("echo", "Gives back the message.", { message: z.string() }, ({ message }) => text(message));
  // These three go on the stream of the call that caused them, which is why they are sent
  // as requests of the call and not of the session.
  tool("ask_elicitation", "Asks the user for a word.", {}, async (_, extra) => {
    const requestedSchema = { type: "object", properties: { word: { type: "string" } }, required: ["word"] };
    const params = { mode: "form", message: "Which word?", requestedSchema };
    return text(JSON.stringify(await extra.sendRequest({ method: "elicitation/create", params }, schemas.ElicitResultSchema)));
  });
  tool("ask_sampling", "Asks the client's model for a line.", {}, async (_, extra) => {
    const messages = [{ role: "user", content: { type: "text", text: "Say a line." } }];
    const params = { messages, maxTokens: 64 };
    return text(JSON.stringify(await extra.sendRequest({ method: "sampling/createMessage", params }, schemas.CreateMessageResultSchema)));
  });
  tool("ask_roots", "Asks the client for its roots.", {}, async (_, extra) =>
    text(JSON.stringify(await extra.sendRequest({ method: "roots/list" }, schemas.ListRootsResultSchema))),
  );
  tool("progress", "Reports three steps of progress.", {}, async (_, extra) => {
    for (const step of [1, 2, 3]) {
      await progress(extra, step, 3);
      await pause();
    }
    return text("done");
  });
  tool("slow", "Waits; reports progress once when it starts.", { ms: z.number().int().max(60000) }, async ({ ms }, extra) => {
    await progress(extra, 0, 1);
    if (await wait(ms, extra.signal)) cancelled += 1;
    return text("waited");
  });
  tool("cancelled_count", "How many calls of slow were cancelled.", {}, () => text(cancelled));
  tool("log", "Logs the message at level info.", { message: z.string() }, async ({ message }, extra) => {
    const params = { level: "info", logger: "ts1-legacy", data: { message } };
    await extra.sendNotification({ method: "notifications/message", params });
    return text("logged");
  });
  tool("touch", "Changes test://counter.", {}, async () => {
    counter += 1;
    for (const each of sessions) {
      if (each.subscribed.has(COUNTER)) await each.mcp.server.sendResourceUpdated({ uri: COUNTER });
    }
    return text(counter);
  });

  mcp.registerResource("counter", COUNTER, { mimeType: "text/plain" }, () => ({
    contents: [{ uri: COUNTER, mimeType: "text/plain", text: String(counter) }],
  }));
  const items = new ResourceTemplate("test://items/{id}", { list: undefined, complete: { id: startingWith(ITEMS) } });
  mcp.registerResource("item", items, { mimeType: "text/plain" }, (uri, { id }) => ({
    contents: [{ uri: uri.href, mimeType: "text/plain", text: id }],
  }));
  mcp.registerPrompt("greet", { argsSchema: { name: completable(z.string(), startingWith(NAMES)) } }, ({ name }) => ({
    messages: [{ role: "user", content: { type: "text", text: `Greet ${name}.` } }],
  }));
  mcp.server.setRequestHandler(schemas.SubscribeRequestSchema, ({ params }) => {
    session.subscribed.add(params.uri);
    return {};
  });
  mcp.server.setRequestHandler(schemas.UnsubscribeRequestSchema, ({ params }) => {
    session.subscribed.delete(params.uri);
    return {};
  });
  return mcp;
}

const transports = new Map();

async function handle(request, response) {
  const id = request.headers["mcp-session-id"];
  let transport = transports.get(id);
  if (!transport && id !== undefined) return void response.writeHead(404).end();
  if (!transport) {
    // Without a session only `initialize` is served; the transport refuses the rest.
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (created) => void transports.set(created, transport),
      onsessionclosed: (closed) => void transports.delete(closed),
    });
    await createServer().connect(transport);
  }
  await transport.handleRequest(request, response);
}

serve({ stdio: () => createServer().connect(new StdioServerTransport()), handle });
