"""Write a Patchbay plugin in Python.

A plugin is `src/plugin.py` with one class for each of its roles: `Handler`, `Desk`, `Inspector`. Their methods are the
contract's own functions, in snake case, with the settings before and the context after the contract's arguments:

    class Handler:
        def handle(self, settings, event, cx): ...

Events, tickets and the rest are the contract's records, as dataclasses: see `patchbay_plugin.types`, and the modules of
the roles: `patchbay_plugin.handler`, `patchbay_plugin.desk`, `patchbay_plugin.inspector`.
"""

from .failure import Failure
from .event import attribute, display_name, message_of, text_of, ticket_in

__all__ = ["Failure", "attribute", "display_name", "message_of", "text_of", "ticket_in"]
