// The phone and the desk as a person sees them. Where the pages' markup is known, it is known here only.

import assert from "node:assert/strict";

/** How long until something must have arrived: the whole way through the gateway, on a busy machine. */
const ARRIVAL = 30_000;

/** The customer's phone. */
export class Phone {
  /** The page with nobody chosen yet. */
  static async pick(browser, { info }, options = {}) {
    const page = await browser.open(`${info.simulator}/phone`, { name: "phone", ...options });
    return new Phone(page);
  }

  /** The page with the chat of one customer. */
  static async open(browser, gateway, options = {}) {
    const phone = await Phone.pick(browser, gateway, options);
    await phone.somebody.click();
    await phone.words.waitFor();
    return phone;
  }

  constructor(page) {
    this.page = page;
    // Offered to an empty phone, and in the list afterwards.
    this.somebody = page.getByRole("button", { name: "Ada Brooks" }).first();
    this.words = page.getByRole("textbox", { name: "Message" });
    this.sendButton = page.getByRole("button", { name: "Send", exact: true });
    const log = page.getByRole("log", { name: "Messages" });
    this.sent = log.locator(".message.mine[data-id]");
    this.received = log.locator(".message:not(.mine)[data-id]");
  }

  async say(text) {
    await this.words.fill(text);
    await this.sendButton.click();
    await this.sent.filter({ hasText: text }).last().waitFor();
  }

  /** Chooses a customer and writes without a pointer. */
  async sayByKeyboard(text) {
    await this.somebody.waitFor();
    await this.#tabTo(this.somebody);
    await this.page.keyboard.press("Enter");
    await this.words.waitFor();
    await this.#tabTo(this.words);
    await this.page.keyboard.type(text);
    await this.page.keyboard.press("Enter");
    await this.sent.filter({ hasText: text }).waitFor();
  }

  async sendPhoto(bytes) {
    const file = { name: "invoice.png", mimeType: "image/png", buffer: bytes };
    await this.page.locator("#file").setInputFiles(file);
    await this.sendButton.click();
    await this.sent.getByRole("img", { name: "Photo" }).waitFor();
  }

  /** Waits until the business has answered at all, and until the ticks of its answer say that it was read. */
  async acknowledgement() {
    await this.received.first().getByRole("img", { name: "Answer read" }).waitFor({ timeout: ARRIVAL });
  }

  /** Waits until the ticks of everything that the customer wrote say that it was read. */
  async allRead() {
    for (const message of await this.sent.all()) {
      await message.getByRole("img", { name: "Read" }).waitFor({ timeout: ARRIVAL });
    }
  }

  async receives(text) {
    await this.received.filter({ hasText: text }).waitFor({ timeout: ARRIVAL });
  }

  async lacks(text) {
    assert.equal(await this.page.getByText(text).count(), 0, `the phone shows "${text}"`);
  }

  async #tabTo(target) {
    for (let step = 0; step < 40; step += 1) {
      if (await target.evaluate((element) => element === document.activeElement)) return;
      await this.page.keyboard.press("Tab");
    }
    assert.fail("the Tab key does not get there");
  }
}

/** The agents' desk. */
export class Desk {
  static async open(browser, { info }, options = {}) {
    const page = await browser.open(`${info.simulator}/desk`, { name: "desk", ...options });
    return new Desk(page);
  }

  constructor(page) {
    this.page = page;
  }

  /** Opens the newest ticket that waits in a queue and is about a text. */
  async ticket(queue, text) {
    const queues = this.page.getByRole("navigation", { name: "Queues" });
    await queues.getByRole("button", { name: new RegExp(`^${queue}\\b`, "i") }).click({ timeout: ARRIVAL });
    const tickets = this.page.getByRole("region", { name: "Tickets" });
    await tickets.getByRole("button").filter({ hasText: text }).first().click({ timeout: ARRIVAL });
    return new Ticket(this.page.getByRole("region", { name: "Ticket", exact: true }));
  }
}

/** An open ticket. */
class Ticket {
  constructor(region) {
    this.region = region;
    this.entries = region.getByRole("log", { name: "Conversation" }).getByRole("article");
  }

  async shows(text) {
    await this.entries.filter({ hasText: text }).first().waitFor({ timeout: ARRIVAL });
  }

  /** The bytes of the picture that the ticket shows. */
  async photo() {
    const picture = this.entries.locator("img").first();
    await picture.waitFor({ timeout: ARRIVAL });
    const [width, base64] = await picture.evaluate(async (img) => {
      await img.decode();
      const bytes = new Uint8Array(await (await fetch(img.src)).arrayBuffer());
      return [img.naturalWidth, btoa(String.fromCharCode(...bytes))];
    });
    assert.ok(width > 0, "the picture is shown");
    return Buffer.from(base64, "base64");
  }

  async answer(text) {
    await this.#write("Public reply", text, "Send");
  }

  async note(text) {
    await this.#write("Internal note", text, "Add note");
  }

  async #write(kind, text, button) {
    await this.region.getByRole("tab", { name: kind }).click();
    await this.region.getByRole("textbox", { name: "Answer" }).fill(text);
    await this.region.getByRole("button", { name: button, exact: true }).click();
    await this.shows(text);
  }
}
