// `patchbay dev` as a child process.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** How long it may take to say where it listens: compiling the plugins in a debug build is most of it. */
const START = 120_000;
/** How long it may take to stop. */
const STOP = 20_000;

export class Gateway {
  /** Starts it on free ports and gives it back when it listens. */
  static async start(binary) {
    const gateway = new Gateway();
    gateway.log = "";
    gateway.output = [];
    gateway.child = spawn(binary, ["dev", "--json", "--port", "0", "--no-browser"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    gateway.child.stderr.setEncoding("utf8").on("data", (text) => (gateway.log += text));
    gateway.exit = new Promise((resolve, reject) => {
      gateway.child.once("error", (error) => reject(new Error(`cannot start ${binary}: ${error.message}`)));
      gateway.child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    const lines = createInterface({ input: gateway.child.stdout });
    lines.on("line", (line) => gateway.output.push(line));
    const silent = gateway.exit.then(({ code, signal }) => {
      throw new Error(`ended at once (${signal ?? `exit code ${code}`}):\n${gateway.lastLines(15)}`);
    });
    const first = once(lines, "line").then(([line]) => JSON.parse(line));
    try {
      gateway.info = await gateway.#within(START, "did not say where it listens", [first, silent]);
    } catch (error) {
      await gateway.kill();
      throw error;
    }
    return gateway;
  }

  /** Interrupts it as Ctrl-C does, and gives its exit code. */
  async interrupt() {
    this.child.kill("SIGINT");
    const { code, signal } = await this.#within(STOP, "did not stop after SIGINT", [this.exit]);
    if (signal) throw new Error(`ended by ${signal} instead of stopping by itself`);
    return code;
  }

  /** Ends it whatever it does; nothing to do when it has ended. */
  async kill() {
    if (this.child.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await this.exit;
  }

  lastLines(count) {
    return this.log.trimEnd().split("\n").slice(-count).join("\n");
  }

  /** The ticket system's side of the tickets, in the simulator's own shape. */
  async tickets(desk) {
    const answer = await fetch(`${this.info.simulator}/_sim/desks/${desk}/tickets`);
    if (!answer.ok) throw new Error(`the simulator answered ${answer.status} for the tickets of ${desk}`);
    const body = await answer.json();
    return Array.isArray(body) ? body : body.tickets;
  }

  async #within(milliseconds, complaint, promises) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${complaint} within ${milliseconds / 1000} s`)), milliseconds);
    });
    try {
      return await Promise.race([...promises, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
