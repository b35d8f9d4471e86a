"""The contract's records that all roles share."""

from wit_world.imports.patchbay_plugin_types_0_2_0 import *  # noqa: F403
