// What the pages must do. Each check has a gateway of its own and knows nothing of the others.

import assert from "node:assert/strict";

import { Desk, Phone } from "./pages.mjs";
import { png } from "./png.mjs";

const QUESTION = "my invoice is wrong";
const QUEUE = "billing";

export const checks = [
  {
    name: "a question is acknowledged and waits in the queue",
    async run({ browser, gateway }) {
      const phone = await Phone.open(browser, gateway);
      await phone.say(QUESTION);
      await phone.acknowledgement();
      await phone.allRead();

      const desk = await Desk.open(browser, gateway);
      const ticket = await desk.ticket(QUEUE, QUESTION);
      await ticket.shows(QUESTION);
      assert.equal((await gateway.tickets("zendesk")).length, 1, "one question is one ticket");
    },
  },
  {
    name: "a photo reaches the ticket byte for byte",
    async run({ browser, gateway }) {
      const phone = await Phone.open(browser, gateway);
      await phone.say(QUESTION);
      await phone.acknowledgement();
      const photo = png();
      await phone.sendPhoto(photo);

      const desk = await Desk.open(browser, gateway);
      const ticket = await desk.ticket(QUEUE, QUESTION);
      assert.deepEqual(await ticket.photo(), photo);
      assert.equal((await gateway.tickets("zendesk")).length, 1, "the photo belongs to the question's ticket");
    },
  },
  {
    name: "a public answer reaches the phone and an internal note does not",
    async run({ browser, gateway }) {
      const phone = await Phone.open(browser, gateway);
      await phone.say(QUESTION);
      await phone.acknowledgement();

      const desk = await Desk.open(browser, gateway);
      const ticket = await desk.ticket(QUEUE, QUESTION);
      await ticket.note("the customer paid twice");
      await ticket.answer("We will send you a new invoice.");
      // The note was written first: had it been sent at all, it would have arrived by now.
      await phone.receives("We will send you a new invoice.");
      await phone.lacks("the customer paid twice");
      await ticket.shows("the customer paid twice");
    },
  },
  {
    name: "nothing keeps people out, in light and in dark",
    async run({ browser, gateway }) {
      for (const colorScheme of ["light", "dark"]) {
        const phone = await Phone.open(browser, gateway, { name: `phone-${colorScheme}`, colorScheme });
        await phone.say(QUESTION);
        await phone.acknowledgement();
        const desk = await Desk.open(browser, gateway, { name: `desk-${colorScheme}`, colorScheme });
        await desk.ticket(QUEUE, QUESTION);
        for (const { page } of [phone, desk]) {
          assert.deepEqual(await browser.barriers(page), [], `${page.url()} in ${colorScheme}`);
        }
      }
    },
  },
  {
    name: "the phone can be used with the keyboard alone",
    async run({ browser, gateway }) {
      const phone = await Phone.pick(browser, gateway);
      await phone.sayByKeyboard(QUESTION);
      await phone.acknowledgement();
    },
  },
  {
    name: "the pages fit a narrow screen",
    async run({ browser, gateway }) {
      const viewport = { width: 320, height: 640 };
      const phone = await Phone.open(browser, gateway, { viewport });
      await phone.say(QUESTION);
      await phone.acknowledgement();
      const desk = await Desk.open(browser, gateway, { viewport });
      await desk.ticket(QUEUE, QUESTION);
      for (const { page } of [phone, desk]) {
        const { wanted, given } = await page.evaluate(() => ({
          wanted: document.documentElement.scrollWidth,
          given: document.documentElement.clientWidth,
        }));
        assert.ok(wanted <= given, `${page.url()} is ${wanted} pixels wide on a screen of ${given}`);
      }
    },
  },
  {
    name: "Ctrl-C stops the gateway with open pages",
    async run({ browser, gateway }) {
      const phone = await Phone.open(browser, gateway);
      await phone.say(QUESTION);
      await phone.acknowledgement();
      browser.forgive();
      assert.equal(await gateway.interrupt(), 0);
      assert.equal(gateway.output.length, 1, "standard output is one line of JSON and nothing else");
    },
  },
];
