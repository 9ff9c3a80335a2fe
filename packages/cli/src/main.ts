#!/usr/bin/env node
import { exitWhenFlushed } from "./exit.ts";
import { runCommandLine } from "./command-line.ts";
import { processTerminal } from "./terminal.ts";

const terminal = processTerminal();
exitWhenFlushed(await runCommandLine({ argv: process.argv.slice(2), terminal, api: () => import("@deft-js/run") }), terminal);
