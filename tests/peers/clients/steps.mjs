// The steps of the TypeScript client drivers. An adapter (ts1.mjs, ts2.mjs) gives the
// official client a common shape; nothing here touches the wire or the SDK's insides.
//
// stdout carries one JSON line for `connect`, then one for each step asked.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";

// SDK v2 tells about missing capabilities on stdout, which is for the lines only.
console.log = console.info = console.debug = console.error;

// What the client answers when the server asks; the tool's result must show it.
const ANSWER = "violet-42";
export const ROOT = { uri: `file:///${ANSWER}`, name: ANSWER };
export const SAMPLED = { role: "assistant", model: "driver", content: { type: "text", text: `sampled ${ANSWER}` } };
/** Options of an HTTP transport: the token in DRIVER_BEARER, if there is one. */
export const bearer = () => {
  const token = process.env.DRIVER_BEARER;
  return token ? { requestInit: { headers: { Authorization: `Bearer ${token}` } } } : undefined;
};
export const CAPABILITIES = { sampling: {}, elicitation: { form: {} }, roots: { listChanged: true } };

// Names on the servers of tests/peers/servers; --names replaces entries for others.
const NAMES = {
  call: { name: "echo", arguments: { message: `echo ${ANSWER}` } },
  elicitation: { name: "ask_elicitation", arguments: {} },
  sampling: { name: "ask_sampling", arguments: {} },
  roots: { name: "ask_roots", arguments: {} },
  progress: { name: "progress", arguments: {} },
  cancel: { name: "slow", arguments: { ms: 15000 } },
  cancelled_count: { name: "cancelled_count", arguments: {} },
  log: { name: "log", arguments: { message: `log ${ANSWER}` } },
  touch: { name: "touch", arguments: {} },
  subscription: { uri: "test://counter" },
  completion: { prompt: "greet", argument: "name", value: "a" },
};

/** Accepts a form, filling every field with a value that the tool's result can show. */
export function fillForm(schema) {
  const value = ({ type, enum: choices, oneOf }) =>
    choices?.[0] ?? oneOf?.[0]?.const ?? { string: ANSWER, number: 42, integer: 42, boolean: true, array: [] }[type];
  const fields = Object.entries(schema?.properties ?? {});
  return { action: "accept", content: Object.fromEntries(fields.map(([name, field]) => [name, value(field)])) };
}

const sleep = (ms) => new Promise((wake) => setTimeout(wake, ms));
const describe = (error) => `${error?.name ?? "Error"} ${error?.code ?? ""}: ${error?.message ?? error}`;
const text = (result) => (result.content ?? []).map((block) => block.text ?? "").join("\n");
const ensure = (fact, detail) => {
  if (!fact) throw new Error(`not as expected: ${JSON.stringify(detail)}`);
  return detail;
};

// Key order is not part of a definition's meaning, so it does not change the digest.
const canonical = (value) =>
  Array.isArray(value)
    ? value.map(canonical)
    : value && typeof value === "object"
      ? Object.fromEntries(Object.keys(value).sort().map((key) => [key, canonical(value[key])]))
      : value;
const digest = (value) => createHash("sha256").update(JSON.stringify(canonical(value))).digest("hex");

// `work` gets a signal, so that what is given up on does not go on beside the next step.
function withinLimit(seconds, work) {
  const over = new AbortController();
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([work(over.signal), late]).finally(() => {
    clearTimeout(timer);
    over.abort();
  });
}

async function allPages(fetchPage, field) {
  const items = [];
  let cursor;
  do {
    const page = await fetchPage(cursor && { cursor });
    items.push(...page[field]);
    cursor = page.nextCursor;
  } while (cursor);
  return items;
}

function stepsOf(peer, names) {
  const call = (entry, options) => peer.callTool({ name: entry.name, arguments: entry.arguments }, options);
  const cancellations = async () => Number(/\d+/.exec(text(await call(names.cancelled_count)))?.[0]);
  const asks = (entry, expected) => async () => {
    const result = await call(entry);
    const isAsExpected = Boolean(result.isError) === Boolean(entry.is_error);
    return ensure(isAsExpected && JSON.stringify(result).includes(expected), { result: text(result) });
  };

  return {
    async list() {
      const tools = await allPages((params) => peer.client.listTools(params), "tools");
      // A server need not offer the other three.
      const count = async (list, field) => (await allPages(list, field).catch(() => [])).length;
      return ensure(tools.length > 0, {
        tools: tools.map((tool) => tool.name),
        digest: digest(tools),
        prompts: await count((params) => peer.client.listPrompts(params), "prompts"),
        resources: await count((params) => peer.client.listResources(params), "resources"),
        templates: await count((params) => peer.client.listResourceTemplates(params), "resourceTemplates"),
      });
    },
    // Every schema as the SDK's own validator takes it.
    async schemas() {
      const tools = await allPages((params) => peer.client.listTools(params), "tools");
      const refused = [];
      for (const tool of tools) {
        try {
          peer.judge(tool)({});
        } catch (error) {
          refused.push(`${tool.name}: ${describe(error)}`);
        }
      }
      return ensure(tools.length > 0 && refused.length === 0, { tools: tools.length, refused });
    },
    // Calls of a file, [tool, arguments] each: what the client gives, or throws. Where a text names a handle, the
    // first three are read in both ways.
    async results() {
      const { file, to } = names.results;
      const tools = await allPages((params) => peer.client.listTools(params), "tools");
      const lines = [{ shown: tools.filter((tool) => tool.outputSchema).map(({ name }) => name), listed: tools.length }];
      const handles = new Map();
      for (const [name, args] of JSON.parse(readFileSync(file, "utf8"))) {
        try {
          const { content, structuredContent, isError, _meta: meta } = await peer.callTool({ name, arguments: args });
          lines.push({ content, structuredContent, isError, meta });
          const handle = /"handle":"(r_[a-z2-7]{26})"/.exec(text({ content }))?.[1];
          if (handle && handles.size < 3) handles.set(handle, lines.length - 2);
        } catch (error) {
          lines.push({ thrown: describe(error) });
        }
      }
      for (const [handle, call] of handles) {
        const page = await peer.callTool({ name: "read_result", arguments: { handle, page: 1 } });
        const { contents } = await peer.client.readResource({ uri: `whittle://results/${handle}` });
        lines.push({ call, page: page.content, contents });
      }
      writeFileSync(to, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      return ensure(tools.length > 0, { tools: tools.length, read: handles.size });
    },
    callOf: (step) => asks(names[step], names[step].expect ?? ""),
    call: asks(names.call, names.call.expect ?? names.call.arguments.message),
    elicitation: asks(names.elicitation, names.elicitation.expect ?? ANSWER),
    sampling: asks(names.sampling, names.sampling.expect ?? SAMPLED.content.text),
    roots: asks(names.roots, names.roots.expect ?? ROOT.uri),
    async progress() {
      const seen = [];
      const result = await call(names.progress, { onprogress: ({ progress }) => seen.push(progress) });
      // Copied now: what arrives after the answer does not count.
      const before = [...seen];
      const rises = before.every((value, index) => index === 0 || value > before[index - 1]);
      return ensure(!result.isError && before.length >= 2 && rises, { progress: before });
    },
    async cancel(over) {
      const before = await cancellations();
      const cancelled = new AbortController();
      // The first progress says that the tool runs: a cancellation that overtakes its
      // call would prove nothing.
      let started;
      const running = new Promise((resolve) => (started = resolve));
      const outcome = call(names.cancel, { signal: cancelled.signal, onprogress: () => started() }).then(
        () => "answered",
        (error) => describe(error),
      );
      await running;
      cancelled.abort("the driver cancels");
      const clientSaw = await outcome;
      let after = await cancellations();
      while (!(after >= before + 1) && !over.aborted) {
        await sleep(100);
        after = await cancellations();
      }
      return ensure(clientSaw !== "answered", { before, after, clientSaw });
    },
    async subscription(over) {
      const { uri } = names.subscription;
      let updated = false;
      const end = await peer.subscribe(uri, (changed) => (updated ||= changed === uri));
      let touches = 0;
      // A legacy HTTP client opens its listening stream without saying when it is open,
      // so an early change may have nowhere to go: change again until one is seen.
      while (!updated && !over.aborted) {
        await call(names.touch);
        touches += 1;
        for (let waited = 0; waited < 1000 && !updated; waited += 50) await sleep(50);
      }
      await end();
      return { uri, touches };
    },
    async log(over) {
      const seen = [];
      const level = "info";
      peer.onLog((params) => seen.push(params));
      const meta = await peer.setLogLevel(level);
      const expected = names.log.expect ?? names.log.arguments.message;
      const found = () => seen.find((params) => JSON.stringify(params.data).includes(expected));
      await peer.callTool({ name: names.log.name, arguments: names.log.arguments, ...(meta && { _meta: meta }) });
      while (!found() && !over.aborted) await sleep(50);
      return ensure(found()?.level === level, found());
    },
    async completion() {
      const { prompt, resource, argument, value } = names.completion;
      const ref = prompt ? { type: "ref/prompt", name: prompt } : { type: "ref/resource", uri: resource };
      const { completion } = await peer.client.complete({ ref, argument: { name: argument, value } });
      return ensure(completion.values.length > 0, { values: completion.values });
    },
  };
}

function readArguments(eras) {
  const raw = process.argv.slice(2);
  const stdio = raw.indexOf("--stdio");
  // Everything after `--stdio --` belongs to the server.
  const split = stdio < 0 ? -1 : raw.indexOf("--", stdio);
  const command = split < 0 ? undefined : raw.slice(split + 1);
  const { values } = parseArgs({
    args: split < 0 ? raw : raw.slice(0, split),
    options: {
      era: { type: "string", default: eras[0] },
      stdio: { type: "boolean" },
      url: { type: "string" },
      steps: { type: "string", default: "list,call,elicitation,sampling,roots,progress,cancel,subscription,log,completion" },
      names: { type: "string", default: "{}" },
      limit: { type: "string", default: "20" },
    },
  });
  if (!eras.includes(values.era)) throw new Error(`this SDK speaks only: ${eras.join(", ")}`);
  if (Boolean(values.url) === Boolean(command?.length)) throw new Error("give --url URL, or --stdio -- CMD ARGS…");
  const names = structuredClone(NAMES);
  for (const [step, entry] of Object.entries(JSON.parse(values.names))) {
    const [plain, fields] = typeof entry === "string" ? [entry, {}] : [undefined, entry];
    const key = { subscription: "uri", completion: "prompt" }[step] ?? "name";
    names[step] = { ...names[step], ...(plain !== undefined && { [key]: plain }), ...fields };
  }
  return { era: values.era, url: values.url, command, steps: values.steps.split(","), names, limit: Number(values.limit) };
}

/** Runs the steps asked on the command line; never returns. */
export async function drive(eras, createPeer) {
  let options;
  try {
    options = readArguments(eras);
  } catch (error) {
    console.error(`usage: DRIVER --era ${eras.join("|")} (--url URL | --stdio [options] -- CMD ARGS…): ${error.message}`);
    process.exit(2);
  }
  let allOk = true;
  const report = async (step, work, limit = options.limit) => {
    let line;
    try {
      line = { step, ok: true, detail: await withinLimit(limit, work) };
    } catch (error) {
      line = { step, ok: false, error: describe(error) };
    }
    allOk &&= line.ok;
    process.stdout.write(`${JSON.stringify(line)}\n`);
    return line.ok;
  };

  const peer = createPeer(options);
  // The SDK's own time limit comes first: only the SDK can stop what it started to connect.
  const connected = await report("connect", () => peer.connect({ timeout: options.limit * 1000 }), options.limit + 5);
  const steps = stepsOf(peer, options.names);
  for (const step of options.steps) {
    await report(step, async (over) => {
      if (!connected) throw new Error("not connected");
      const run = step.startsWith("call.") ? steps.callOf(step) : steps[step];
      if (!run) throw new Error("no such step");
      return run(over);
    });
  }
  await withinLimit(5, () => peer.client.close()).catch(() => {});
  process.exit(allOk ? 0 : 1);
}
