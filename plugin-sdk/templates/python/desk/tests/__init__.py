"""Where the plugin, its SDK and the contract's records are; the last ones are written by a build."""

import sys

sys.path[:0] = ["src", "sdk", "target/patchbay/bindings"]
