// Paths in the repository.

import { fileURLToPath } from "node:url";

/** A path that is given from the repository's root. */
export function root(path) {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}
