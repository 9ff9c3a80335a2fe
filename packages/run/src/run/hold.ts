import { createHash } from "node:crypto";
import { realpathSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeftError } from "@deft-js/core";
import { errorCode } from "@deft-js/checkpoint";

/**
 * Holds a run's folder for this process, so that no other one on the machine goes on with the same run meanwhile. What holds it is a local socket, which the system closes with the process:
 * a run that was killed leaves nothing behind. Where no socket can be had, nothing is held.
 * @returns lets the folder go
 * @throws DeftError `recipe.resume` when the folder is held
 */
export async function holdFolder(folder: string): Promise<() => Promise<void>> {
  const address = addressOf(folder);
  const server = createServer((socket) => socket.destroy());
  try {
    await listen(server, address).catch(async (error: unknown) => {
      if (!isFile(address) || errorCode(error) !== "EADDRINUSE" || (await answers(address))) throw error;
      rmSync(address, { force: true }); // a killed run's
      return listen(server, address);
    });
  } catch (error) {
    if (errorCode(error) !== "EADDRINUSE") return () => Promise.resolve();
    throw new DeftError("recipe.resume", `resume: the folder must be no running process's, got ${folder}, where a run is under way. Wait until it ends, or stop it first.`);
  }
  server.unref();
  return () => new Promise((resolve) => void server.close(() => resolve()));
}

/** Linux's abstract sockets and Windows's pipes go with their process; elsewhere a file may stay. */
function addressOf(folder: string): string {
  const name = `deft-run-${createHash("sha256").update(realpathSync(folder)).digest("hex").slice(0, 32)}`;
  if (process.platform === "linux") return `\0${name}`;
  return process.platform === "win32" ? `\\\\?\\pipe\\${name}` : join(tmpdir(), `${name}.sock`);
}

const isFile = (address: string): boolean => address.endsWith(".sock");

function listen(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(address, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
