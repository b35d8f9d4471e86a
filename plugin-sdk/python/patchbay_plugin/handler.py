"""Saying what should be done: an outcome is built action by action, in order."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Mapping

from wit_world.exports import patchbay_plugin_handler_0_2_0 as contract
from wit_world.exports.patchbay_plugin_handler_0_2_0 import *  # noqa: F403

from .types import Assignment, Priority


class Outcome(contract.Outcome):
    """What a handler answers. Each method adds an action and gives the outcome back."""

    def __init__(self) -> None:
        """Nothing to do yet; the next handler is asked."""
        super().__init__([], contract.Flow.NEXT)

    def stop(self) -> Outcome:
        """The chain ends here: the handlers after this one are not asked."""
        self.flow = contract.Flow.STOP
        return self

    def action(self, action: contract.Action) -> Outcome:
        """Any action of the contract, for those that have no word of their own here."""
        self.actions.append(action)
        return self

    def send(self, content: contract.OutgoingContent, reply_to: str | None = None) -> Outcome:
        """Says something to the customer; `content` is the contract's, such as `OutgoingContent_Media(…)`."""
        return self.action(contract.Action_Send(contract.Outgoing(content, reply_to)))

    def send_text(self, text: str, reply_to: str | None = None) -> Outcome:
        """Says plain words to the customer."""
        return self.send(contract.OutgoingContent_Text(text), reply_to)

    def send_buttons(self, text: str, options: Mapping[str, str]) -> Outcome:
        """Asks with up to three buttons, by id: `{"yes": "Yes", "no": "No"}`."""
        return self.send(contract.OutgoingContent_Buttons(contract.Buttons(text, pairs(options))))

    def send_template(self, name: str, language: str, parameters: Mapping[str, Any] | None = None) -> Outcome:
        """Sends a template that Meta has approved; parameters by name, or by number from 1."""
        return self.send(contract.OutgoingContent_Template(contract.Template(name, language, pairs(parameters or {}))))

    def assign(self, queue: str, *, tier: int = 1, priority: str = "normal", reason: str = "") -> Outcome:
        """Puts the conversation into a queue; priorities are `low`, `normal`, `high`, `urgent`."""
        return self.action(contract.Action_Assign(Assignment(queue, tier, Priority[priority.upper()], reason)))

    def set_attribute(self, key: str, value: Any) -> Outcome:
        """Sets an attribute of the conversation."""
        return self.action(contract.Action_SetAttribute((key, str(value))))

    def remove_attribute(self, key: str) -> Outcome:
        """Removes an attribute of the conversation."""
        return self.action(contract.Action_SetAttribute((key, None)))

    def note(self, text: str) -> Outcome:
        """Writes an internal note into every linked ticket."""
        return self.action(contract.Action_Note(text))

    def open_ticket(self, desk: str, *, subject: str | None = None, fields: Mapping[str, Any] | None = None) -> Outcome:
        """Makes sure that a ticket exists in this desk; the conversation so far goes along."""
        return self.action(contract.Action_OpenTicket(contract.OpenTicket(desk, subject, pairs(fields or {}))))

    def update_ticket(self, desk: str, fields: Mapping[str, Any]) -> Outcome:
        """Changes fields of the ticket in this desk, in the desk plugin's words."""
        return self.action(contract.Action_UpdateTicket(contract.UpdateTicket(desk, pairs(fields))))

    def set_timer(self, name: str, at: int | datetime, data: Any = None) -> Outcome:
        """Sets a timer (milliseconds or a moment); it comes back as an event with its data, any JSON value."""
        millis = int(at.timestamp() * 1000) if isinstance(at, datetime) else at
        return self.action(contract.Action_SetTimer(contract.SetTimer(name, millis, json.dumps(data))))

    def cancel_timer(self, name: str) -> Outcome:
        """Takes a timer back."""
        return self.action(contract.Action_CancelTimer(name))

    def escalate(self, reason: str) -> Outcome:
        """Tells a person who can do more, with the reason."""
        return self.action(contract.Action_Escalate(reason))

    def handoff(self, reason: str) -> Outcome:
        """Hands the conversation to a person, with the reason; bots stay silent from here."""
        return self.action(contract.Action_Handoff(reason))

    def emit(self, name: str, data: Any = None) -> Outcome:
        """An event of kind `custom` in this conversation: its name and its data, any JSON value."""
        return self.action(contract.Action_Emit((name, json.dumps(data))))


def pairs(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Attributes as the contract has them."""
    return [(key, str(value)) for key, value in fields.items()]
