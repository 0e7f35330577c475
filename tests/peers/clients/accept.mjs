// Asks a TypeScript SDK about tools, without a connection: `accept.mjs v1|v2 < lines`. See README.md.
import { createInterface } from "node:readline";
import { judge } from "./judge.mjs";

const judged = judge(process.argv[2]);
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const { tool, instances } = JSON.parse(line);
    answer = { accepts: instances.map(judged(tool)) };
  } catch (error) {
    answer = { error: `${error?.name}: ${error?.message ?? error}`.slice(0, 400) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
