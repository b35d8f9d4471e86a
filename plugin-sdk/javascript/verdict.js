// Saying what an inspector found.

/** What an inspector answers. Each method adds something and gives the verdict back. */
export class Verdict {
  decision;
  labels = [];
  text = undefined;
  measures = [];
  findings = [];

  /** Use `pass`, `warn` or `quarantine`. */
  constructor(decision) {
    this.decision = decision;
  }

  /** Nothing is wrong with it. */
  static pass() {
    return new Verdict('pass');
  }

  /** People should look twice. */
  static warn() {
    return new Verdict('warn');
  }

  /** It should be kept away from people. */
  static quarantine() {
    return new Verdict('quarantine');
  }

  /** A word for what is in it, and the confidence, 0 to 1. */
  label(word, confidence = 1) {
    this.labels.push([word, confidence]);
    return this;
  }

  /** A number by its name: sharpness, brightness, width … */
  measure(name, value) {
    this.measures.push([name, value]);
    return this;
  }

  /** Something found: a code for machines, a sentence for people, the confidence, 0 to 1. */
  finding(code, detail, score = 1) {
    this.findings.push({ code, detail, score });
    return this;
  }

  /** Text that was found in it. */
  withText(text) {
    this.text = text;
    return this;
  }
}
