"""What a desk is given, and what it answers: the contract's records."""

from wit_world.exports.patchbay_plugin_desk_0_2_0 import *  # noqa: F403

from .types import (  # noqa: F401
    Activity_Assigned,
    Activity_Entry,
    Activity_MergedInto,
    Activity_Other,
    Activity_Status,
    AgentEntry,
    DeskActivity,
    RemoteFile,
    Ticket,
)
