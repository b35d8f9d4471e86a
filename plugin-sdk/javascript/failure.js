// Why a call did not succeed. What the gateway does next follows from it, so say the truth.

/** Throw it from any role. Reasons are read by people and stand in logs: put nothing of a customer there. */
export class Failure extends Error {
  /** The contract's failure, as it crosses to the host. */
  payload;

  /** Use `retry`, `permanent` or `credential`. */
  constructor(tag, val) {
    super(typeof val === 'string' ? val : val.reason);
    this.name = 'Failure';
    this.payload = { tag, val };
  }

  /** Worth another try, after so many milliseconds if the other side said so. */
  static retry(reason, afterMs) {
    return new Failure('retry', { reason, afterMs: afterMs === undefined ? undefined : BigInt(Math.ceil(afterMs)) });
  }

  /** Never worth another try. */
  static permanent(reason) {
    return new Failure('permanent', reason);
  }

  /** The credential does not work; from `desk.receive`: the webhook's signature is wrong. */
  static credential(reason) {
    return new Failure('credential', reason);
  }
}
