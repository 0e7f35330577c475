// Real server on the TypeScript SDK v2 that speaks only 2026-07-28, over stdio or HTTP;
// `initialize` is answered with -32022. See README.md for what it offers.
import { modules } from "../modules.mjs";
import { COUNTER, ITEMS, NAMES, pause, serve, startingWith, text, wait } from "./serve.mjs";

const load = modules("v2");
const { McpServer, ResourceTemplate, completable, createMcpHandler, inputRequired } = load("@modelcontextprotocol/server");
const { serveStdio } = load("@modelcontextprotocol/server/stdio");
const { toNodeHandler } = load("@modelcontextprotocol/node");
const { z } = load("zod");

// Of the process: over HTTP every request gets a server object of its own.
let cancelled = 0;
let counter = 0;
// Over HTTP a change is published by the handler that holds the listen streams.
let publish;

function createServer() {
  const capabilities = { logging: {}, resources: { subscribe: true } };
  const mcp = new McpServer({ name: "ts2-modern", version: "1.0.0" }, { capabilities });

  const progress = async ({ mcpReq }, value, total) => {
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken === undefined) return;
    await mcpReq.notify({ method: "notifications/progress", params: { progressToken, progress: value, total } });
  };
  const tool = (name, description, inputSchema, run) =>
    mcp.registerTool(name, { description, inputSchema: z.object(inputSchema) }, run);
  // First round: what the client has to answer. Second round: the answer, as the result.
  const ask = (name, description, question) =>
    tool(name, description, {}, (_, { mcpReq }) => {
      const answer = mcpReq.inputResponses?.answer;
      return answer ? text(JSON.stringify(answer)) : inputRequired({ inputRequests: { answer: question() } });
    });

  tool("echo", "Gives back the message.", { message: z.string() }, ({ message }) => text(message));
  ask("ask_elicitation", "Asks the user for a word.", () =>
    inputRequired.elicit({
      message: "Which word?",
      requestedSchema: { type: "object", properties: { word: { type: "string" } }, required: ["word"] },
    }),
  );
  ask("ask_sampling", "Asks the client's model for a line.", () =>
    inputRequired.createMessage({
      messages: [{ role: "user", content: { type: "text", text: "Say a line." } }],
      maxTokens: 64,
    }),
  );
  ask("ask_roots", "Asks the client for its roots.", () => inputRequired.listRoots());
  tool("progress", "Reports three steps of progress.", {}, async (_, context) => {
    for (const step of [1, 2, 3]) {
      await progress(context, step, 3);
      await pause();
    }
    return text("done");
  });
  tool("slow", "Waits; reports progress once when it starts.", { ms: z.number().int().max(60000) }, async ({ ms }, context) => {
    await progress(context, 0, 1);
    if (await wait(ms, context.mcpReq.signal)) cancelled += 1;
    return text("waited");
  });
  tool("cancelled_count", "How many calls of slow were cancelled.", {}, () => text(cancelled));
  tool("log", "Logs the message at level info.", { message: z.string() }, async ({ message }, { mcpReq }) => {
    await mcpReq.log("info", { message }, "ts2-modern");
    return text("logged");
  });
  tool("touch", "Changes test://counter.", {}, async () => {
    counter += 1;
    await (publish ? publish(COUNTER) : mcp.server.sendResourceUpdated({ uri: COUNTER }));
    return text(counter);
  });

  mcp.registerResource("counter", COUNTER, { mimeType: "text/plain" }, () => ({
    contents: [{ uri: COUNTER, mimeType: "text/plain", text: String(counter) }],
  }));
  const items = new ResourceTemplate("test://items/{id}", { list: undefined, complete: { id: startingWith(ITEMS) } });
  mcp.registerResource("item", items, { mimeType: "text/plain" }, (uri, { id }) => ({
    contents: [{ uri: uri.href, mimeType: "text/plain", text: id }],
  }));
  const argsSchema = z.object({ name: completable(z.string(), startingWith(NAMES)) });
  mcp.registerPrompt("greet", { argsSchema }, ({ name }) => ({
    messages: [{ role: "user", content: { type: "text", text: `Greet ${name}.` } }],
  }));
  return mcp;
}

const onerror = (error) => console.error(`ts2-modern: ${error.message}`);

function httpHandler() {
  const handler = createMcpHandler(createServer, { legacy: "reject", onerror });
  publish = (uri) => handler.notify.resourceUpdated(uri);
  return toNodeHandler(handler);
}

let handler;
serve({
  stdio: () => serveStdio(createServer, { legacy: "reject", onerror }),
  handle: (request, response) => (handler ??= httpHandler())(request, response),
});
