// The pages in a real browser, against the real binary: `cargo xtask test --only browser [WORDS…]`.
//
// PATCHBAY_BIN          the gateway; target/debug/patchbay without it
// PATCHBAY_CHROMIUM     the browser; /usr/bin/chromium without it
// PATCHBAY_SCREENSHOTS  where pictures go; target/screenshots without it

import { mkdir } from "node:fs/promises";

import { Browser } from "./browser.mjs";
import { checks } from "./checks.mjs";
import { Gateway } from "./gateway.mjs";
import { root } from "./root.mjs";

const screenshots = process.env.PATCHBAY_SCREENSHOTS ?? root("target/screenshots");
const words = process.argv.slice(2);
const wanted = checks.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));

if (wanted.length === 0) {
  console.log("0 passed, 0 failed");
  process.exit();
}
await mkdir(screenshots, { recursive: true });
const browser = await Browser.start(process.env.PATCHBAY_CHROMIUM ?? "/usr/bin/chromium");
let failed = 0;

for (const { name, run } of wanted) {
  const since = performance.now();
  let gateway;
  let failure;
  try {
    gateway = await Gateway.start(process.env.PATCHBAY_BIN ?? root("target/debug/patchbay"));
    await run({ gateway, browser });
    browser.complain();
  } catch (error) {
    failure = error;
    await browser.photograph(screenshots, `failed-${name}`);
  } finally {
    if (!failure) await browser.photograph(screenshots, name);
    await browser.close();
    await gateway?.kill();
  }
  const time = `${((performance.now() - since) / 1000).toFixed(1)} s`.padStart(8);
  console.log(`${failure ? "✗" : "✓"} ${name.padEnd(64)} ${time}`);
  if (failure) {
    failed += 1;
    console.log(indent(failure.stack ?? String(failure)));
    if (gateway?.log) console.log(indent(`the gateway's last lines:\n${gateway.lastLines(15)}`));
  }
}

await browser.stop();
console.log(`${wanted.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

function indent(text) {
  return text.replace(/^/gm, "    ");
}
