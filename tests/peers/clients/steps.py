"""The steps of the Python client drivers, the same as in steps.mjs.

An adapter (py1.py, py2.py) gives the official client a common shape; SDK models are
turned into plain dictionaries at once, because the two SDKs spell their fields
differently. stdout carries one JSON line for `connect`, then one for each step asked.
"""

import argparse
import copy
import functools
import hashlib
import json
import re
import sys

import anyio
import mcp.types as types

from judge import judge

# What the client answers when the server asks; the tool's result must show it.
ANSWER = "violet-42"
ROOT = {"uri": f"file:///{ANSWER}", "name": ANSWER}
SAMPLED = {"role": "assistant", "model": "driver", "content": {"type": "text", "text": f"sampled {ANSWER}"}}
INFO = {"version": "1.0.0"}

STEPS = "list,call,elicitation,sampling,roots,progress,cancel,subscription,log,completion"
# Names on the servers of tests/peers/servers; --names replaces entries for others.
NAMES = {
    "call": {"name": "echo", "arguments": {"message": f"echo {ANSWER}"}},
    "elicitation": {"name": "ask_elicitation", "arguments": {}},
    "sampling": {"name": "ask_sampling", "arguments": {}},
    "roots": {"name": "ask_roots", "arguments": {}},
    "progress": {"name": "progress", "arguments": {}},
    "cancel": {"name": "slow", "arguments": {"ms": 15000}},
    "cancelled_count": {"name": "cancelled_count", "arguments": {}},
    "log": {"name": "log", "arguments": {"message": f"log {ANSWER}"}},
    "touch": {"name": "touch", "arguments": {}},
    "subscription": {"uri": "test://counter"},
    "completion": {"prompt": "greet", "argument": "name", "value": "a"},
}


def plain(model):
    """The wire form of an SDK model."""
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


def fill_form(schema):
    """Accepts a form, filling every field with a value that the tool's result can show."""
    values = {"string": ANSWER, "number": 42, "integer": 42, "boolean": True, "array": []}

    def value(field):
        if field.get("enum"):
            return field["enum"][0]
        if field.get("oneOf"):
            return field["oneOf"][0]["const"]
        return values[field["type"]]

    fields = (schema or {}).get("properties", {})
    return {"action": "accept", "content": {name: value(field) for name, field in fields.items()}}


class Asked:
    """What a client says when the server asks, in the models of its SDK."""

    def __init__(self):
        self.on_log = lambda params: None
        self.on_updated = lambda uri: None

    async def elicit(self, context, params):
        return types.ElicitResult.model_validate(fill_form(plain(params).get("requestedSchema")))

    async def sample(self, context, params):
        return types.CreateMessageResult.model_validate(SAMPLED)

    async def list_roots(self, context):
        return types.ListRootsResult.model_validate({"roots": [ROOT]})

    async def log(self, params):
        self.on_log(params)


def describe(error):
    # A task group wraps what happened; the wrapper says nothing.
    while len(getattr(error, "exceptions", ())) == 1:
        error = error.exceptions[0]
    code = getattr(getattr(error, "error", None), "code", "")
    return f"{type(error).__name__} {code}: {error}"


def ensure(fact, detail):
    if not fact:
        raise AssertionError(f"not as expected: {json.dumps(detail)}")
    return detail


def text(result):
    return "\n".join(block.get("text", "") for block in result.get("content", []))


class Steps:
    def __init__(self, peer, names):
        self.peer, self.names = peer, names

    async def _call(self, step, **options):
        entry = self.names[step]
        return plain(await self.peer.call_tool(entry["name"], entry["arguments"], **options))

    async def _pages(self, fetch_page, field):
        items, cursor = [], None
        while True:
            page = plain(await fetch_page(cursor))
            items += page[field]
            cursor = page.get("nextCursor")
            if cursor is None:
                return items

    async def _asks(self, step, expected):
        result = await self._call(step)
        expected = self.names[step].get("expect", expected)
        is_as_expected = bool(result.get("isError")) == bool(self.names[step].get("is_error"))
        shown = json.dumps(result, ensure_ascii=False)
        return ensure(is_as_expected and expected in shown, {"result": text(result)})

    async def list(self):
        async def count(fetch_page, field):
            # A server need not offer anything but tools.
            try:
                return len(await self._pages(fetch_page, field))
            except Exception:
                return 0

        tools = await self._pages(self.peer.list_tools, "tools")
        # Key order is not part of a definition's meaning, so it does not change the digest.
        canonical = json.dumps(tools, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        detail = {
            "tools": [tool["name"] for tool in tools],
            "digest": hashlib.sha256(canonical.encode()).hexdigest(),
            "prompts": await count(self.peer.list_prompts, "prompts"),
            "resources": await count(self.peer.list_resources, "resources"),
            "templates": await count(self.peer.list_templates, "resourceTemplates"),
        }
        return ensure(tools, detail)

    async def schemas(self):
        """Every schema as the SDK's own validator takes it."""
        tools = await self._pages(self.peer.list_tools, "tools")
        refused = []
        for tool in tools:
            try:
                judge(tool)({})
            except Exception as error:
                refused.append(f"{tool['name']}: {describe(error)}")
        return ensure(tools and not refused, {"tools": len(tools), "refused": refused})

    async def results(self):
        """Calls of a file, [tool, arguments] each: what the client gives, or raises. Where a text names a
        handle, the first three are read in both ways."""
        entry = self.names["results"]
        tools = await self._pages(self.peer.list_tools, "tools")
        lines = [{"shown": [tool["name"] for tool in tools if tool.get("outputSchema")], "listed": len(tools)}]
        handles = {}
        with open(entry["file"]) as file:
            calls = json.load(file)
        for name, arguments in calls:
            try:
                model = await self.peer.call_tool(name, arguments)
            except Exception as error:
                lines.append({"thrown": describe(error)})
                continue
            result = plain(model)
            # The model's own value: what is made plain loses members that are null.
            spelt = "structuredContent" if hasattr(model, "structuredContent") else "structured_content"
            structured = getattr(model, spelt)
            line = {"content": result["content"], "isError": result.get("isError"), "meta": result.get("_meta")}
            lines.append(line if structured is None else line | {"structuredContent": structured})
            handle = re.search('"handle":"(r_[a-z2-7]{26})"', text(result))
            if handle and len(handles) < 3:
                handles.setdefault(handle[1], len(lines) - 2)
        for handle, call in handles.items():
            page = plain(await self.peer.call_tool("read_result", {"handle": handle, "page": 1}))
            resource = plain(await self.peer.read_resource(f"whittle://results/{handle}"))
            lines.append({"call": call, "page": page["content"], "contents": resource["contents"]})
        with open(entry["to"], "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        return ensure(tools, {"tools": len(tools), "read": len(handles)})

    async def call(self):
        return await self._asks("call", self.names["call"]["arguments"].get("message", ""))

    async def elicitation(self):
        return await self._asks("elicitation", ANSWER)

    async def sampling(self):
        return await self._asks("sampling", SAMPLED["content"]["text"])

    async def roots(self):
        return await self._asks("roots", ROOT["uri"])

    async def progress(self):
        seen = []

        async def on_progress(progress, total, message):
            seen.append(progress)

        result = await self._call("progress", on_progress=on_progress)
        # Copied now: what arrives after the answer does not count.
        before = list(seen)
        rises = all(low < high for low, high in zip(before, before[1:]))
        return ensure(not result.get("isError") and len(before) >= 2 and rises, {"progress": before})

    async def _cancellations(self):
        return int(re.search(r"\d+", text(await self._call("cancelled_count")))[0])

    async def cancel(self):
        before = await self._cancellations()
        started, scope = anyio.Event(), anyio.CancelScope()
        client_saw = ["its own cancellation"]

        # The first progress says that the tool runs: a cancellation that overtakes its
        # call would prove nothing.
        async def on_progress(progress, total, message):
            started.set()

        async def run():
            entry = self.names["cancel"]
            with scope:
                try:
                    await self.peer.call_tool(entry["name"], entry["arguments"], on_progress=on_progress)
                    client_saw[0] = "answered"
                except Exception as error:
                    client_saw[0] = describe(error)

        async with anyio.create_task_group() as running:
            cancel = self.peer.canceller_of_next_call(scope)
            running.start_soon(run)
            await started.wait()
            await cancel()
            # A server need not answer a cancelled call, so its answer is not waited for.
            after = await self._cancellations()
            while after < before + 1:
                await anyio.sleep(0.1)
                after = await self._cancellations()
            scope.cancel()
        return ensure(client_saw[0] != "answered", {"before": before, "after": after, "clientSaw": client_saw[0]})

    async def subscription(self):
        uri = self.names["subscription"]["uri"]
        updated = anyio.Event()
        touches = 0

        def on_updated(changed):
            if str(changed) == uri:
                updated.set()

        async with self.peer.subscription(uri, on_updated):
            # A legacy HTTP client opens its listening stream without saying when it is open,
            # so an early change may have nowhere to go: change again until one is seen.
            while not updated.is_set():
                await self._call("touch")
                touches += 1
                with anyio.move_on_after(1):
                    await updated.wait()
        return {"uri": uri, "touches": touches}

    async def log(self):
        entry, level, seen = self.names["log"], "info", []
        expected = entry.get("expect", entry["arguments"].get("message", ""))
        self.peer.on_log = lambda params: seen.append(plain(params))
        meta = await self.peer.set_log_level(level)
        await self.peer.call_tool(entry["name"], entry["arguments"], meta=meta)
        while not (found := [params for params in seen if expected in json.dumps(params["data"])]):
            await anyio.sleep(0.05)
        return ensure(found[0]["level"] == level, found[0])

    async def completion(self):
        entry = self.names["completion"]
        reference = (
            {"type": "ref/resource", "uri": entry["resource"]}
            if entry.get("resource")
            else {"type": "ref/prompt", "name": entry["prompt"]}
        )
        result = plain(await self.peer.complete(reference, {"name": entry["argument"], "value": entry["value"]}))
        return ensure(result["completion"]["values"], {"values": result["completion"]["values"]})


def read_arguments(eras):
    raw = sys.argv[1:]
    command = None
    # Everything after `--stdio … --` belongs to the server.
    if "--stdio" in raw and "--" in raw[raw.index("--stdio") :]:
        split = raw.index("--", raw.index("--stdio"))
        raw, command = raw[:split], raw[split + 1 :]
    parser = argparse.ArgumentParser(usage="DRIVER --era ERA (--url URL | --stdio [options] -- CMD ARGS…)")
    parser.add_argument("--era", choices=eras, default=eras[0])
    parser.add_argument("--stdio", action="store_true")
    parser.add_argument("--url")
    parser.add_argument("--steps", default=STEPS, type=lambda steps: steps.split(","))
    parser.add_argument("--names", default="{}", type=json.loads)
    parser.add_argument("--limit", default=20.0, type=float, help="seconds for each step")
    options = parser.parse_args(raw)
    options.command = command
    if bool(options.url) == bool(command):
        parser.error("give --url URL, or --stdio -- CMD ARGS…")
    given, options.names = options.names, copy.deepcopy(NAMES)
    for step, entry in given.items():
        if isinstance(entry, str):
            entry = {{"subscription": "uri", "completion": "prompt"}.get(step, "name"): entry}
        options.names.setdefault(step, {}).update(entry)
    return options


def drive(eras, connect):
    """Runs the steps asked on the command line; never returns.

    `connect(options)` is an async context manager that gives the connected peer.
    """
    options = read_arguments(eras)
    pending = ["connect", *options.steps]
    results = []

    def report(ok, **rest):
        step = pending.pop(0)
        results.append(ok)
        print(json.dumps({"step": step, "ok": ok, **rest}, ensure_ascii=False, separators=(",", ":")), flush=True)

    async def run_step(step, peer):
        steps = Steps(peer, options.names)
        is_call = step.startswith("call.")
        run = functools.partial(steps._asks, step, "") if is_call else getattr(steps, step, None)
        if run is None or step.startswith("_"):
            return report(False, error="no such step")
        try:
            with anyio.fail_after(options.limit):
                detail = await run()
        except TimeoutError:
            report(False, error=f"no end within {options.limit:g} s")
        except Exception as error:
            report(False, error=describe(error))
        else:
            report(True, detail=detail)

    async def main():
        cause = "the connection ended"
        try:
            # One scope around everything, because a client's task group must end inside
            # the scope it began in; its deadline is only for connecting.
            with anyio.CancelScope(deadline=anyio.current_time() + options.limit) as scope:
                async with connect(options) as peer:
                    scope.deadline = float("inf")
                    report(True, detail=peer.info)
                    for step in options.steps:
                        await run_step(step, peer)
                    # Nor may taking leave hang.
                    scope.deadline = anyio.current_time() + 5
            if pending and scope.cancelled_caught:
                cause = f"no end within {options.limit:g} s"
        except Exception as error:
            cause = describe(error)
        while pending:
            report(False, error=cause if pending[0] == "connect" or results[0] else "not connected")

    anyio.run(main)
    sys.exit(0 if all(results) else 1)
