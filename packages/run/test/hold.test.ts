import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { holdFolder } from "../src/run/hold.ts";
import { tempFolder } from "./support/tiny.ts";

const refused = { code: "recipe.resume" };

describe.each(["linux", "darwin"])("a folder that is held, by the means of %s", (platform) => {
  const original = process.platform;
  let [sockets, one, other] = ["", "", ""];
  beforeEach(() => {
    [sockets, one, other] = [tempFolder(), tempFolder(), tempFolder()];
    vi.stubEnv("TMPDIR", sockets);
    Object.defineProperty(process, "platform", { value: platform });
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    Object.defineProperty(process, "platform", { value: original });
  });

  it.skipIf(original !== "linux")("is refused until it is let go; others are not", async () => {
    const release = await holdFolder(one);
    await expect(holdFolder(one)).rejects.toMatchObject(refused);
    await (await holdFolder(other))();
    await release();
    await (await holdFolder(one))();
    expect(readdirSync(sockets)).toEqual([]);
  });

  it.skipIf(original !== "linux")("is free once its process was killed", async () => {
    const release = await holdFolder(one);
    const [name] = readdirSync(sockets);
    await release();
    if (name === undefined) return; // an abstract socket is never left behind
    const child = spawn(process.execPath, ["-e", `require("node:net").createServer().listen(${JSON.stringify(join(sockets, name))}, () => console.log("up"))`], { stdio: ["ignore", "pipe", "inherit"] });
    await once(child.stdout, "data");
    await expect(holdFolder(one)).rejects.toMatchObject(refused);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(readdirSync(sockets)).toEqual([name]);
    await (await holdFolder(one))();
  });

  it("is nobody's where no socket can be had", async () => {
    vi.stubEnv("TMPDIR", join(sockets, "missing"));
    await (await holdFolder(one))();
  });
});
