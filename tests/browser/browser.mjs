// The browser and everything that a page may not do silently.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { chromium } from "playwright-core";

/** Without these Chromium looks up its maker's hosts at every start. */
const QUIET = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** How long anything on a page may take: the machine may be busy building. */
const PATIENCE = 30_000;

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

export class Browser {
  static async start(executablePath) {
    const browser = new Browser();
    const asRoot = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    browser.chromium = await chromium.launch({ executablePath, args: [...QUIET, ...asRoot] });
    browser.axe = await readFile(axe, "utf8");
    browser.contexts = [];
    browser.names = new WeakMap();
    browser.complaints = [];
    browser.forgiving = false;
    return browser;
  }

  /** A page in a profile of its own. Whatever goes wrong in it is kept for `complain`. */
  async open(url, { name, ...options } = {}) {
    const context = await this.chromium.newContext(options);
    context.setDefaultTimeout(PATIENCE);
    this.contexts.push(context);
    const page = await context.newPage();
    this.names.set(page, name);
    const note = (what) => this.forgiving || this.complaints.push(`${name}: ${what}`);
    page.on("pageerror", (error) => note(`uncaught ${error.message}`));
    page.on("console", (message) => message.type() === "error" && note(`console: ${message.text()}`));
    page.on("response", (answer) => answer.status() >= 400 && note(`${answer.status()} for ${answer.url()}`));
    await context.route(
      (wanted) => !["127.0.0.1", "localhost", "[::1]"].includes(wanted.hostname) && wanted.protocol.startsWith("http"),
      (route) => {
        note(`asks another machine: ${route.request().url()}`);
        return route.abort();
      },
    );
    await page.goto(url);
    return page;
  }

  /** Fails when a page complained. */
  complain() {
    if (this.complaints.length > 0) throw new Error(`the pages complained:\n${this.complaints.join("\n")}`);
  }

  /** From here on pages may complain: what they talk to goes away on purpose. */
  forgive() {
    this.complain();
    this.forgiving = true;
  }

  /** What axe finds that keeps people out, one line each. */
  async barriers(page) {
    await page.evaluate(this.axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document));
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(({ id, help, nodes }) => `${id}: ${help} (${nodes.map(({ target }) => target.join(" ")).join(", ")})`);
  }

  /** A picture of every open page. */
  async photograph(folder, title) {
    const slug = title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    for (const page of this.contexts.flatMap((context) => context.pages())) {
      const path = join(folder, `${slug}-${this.names.get(page)}.png`);
      await page.screenshot({ path, fullPage: true }).catch(() => {});
    }
  }

  async close() {
    await Promise.all(this.contexts.map((context) => context.close()));
    this.contexts = [];
    this.complaints = [];
    this.forgiving = false;
  }

  async stop() {
    await this.chromium.close();
  }
}
