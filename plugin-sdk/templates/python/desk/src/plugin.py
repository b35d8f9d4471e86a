"""Tickets in a system of your own."""

import json

from patchbay_plugin import Failure, display_name
from patchbay_plugin.desk import (
    Activity_Entry,
    Added,
    AgentEntry,
    DeskActivity,
    Draft,
    Entry,
    Snapshot,
    Ticket,
    Webhook,
)
from patchbay_plugin.http import Stored


def ticket_of(given: dict) -> Ticket:
    """A ticket as the API has it; the gateway fills in the desk's name."""
    return Ticket("", given["id"], given.get("url"), given["status"], [])


def comments_of(settings: dict, ticket: str, cx) -> list[dict]:
    """What was written into a ticket."""
    return cx.http.get(f"{settings['base_url']}/tickets/{ticket}/comments").json()["comments"]


def upload(settings: dict, entries: list[Entry], cx) -> list[str]:
    """Sends the files of these entries on, without touching their bytes; gives their ids."""
    ids = []
    for media in (media for entry in entries for media in entry.media):
        query = {"name": display_name(media)}
        headers = {"content-type": media.mime}
        answer = cx.upload("POST", f"{settings['base_url']}/files", [Stored(media.id)], query=query, headers=headers)
        ids.append(answer.check().json()["id"])
    return ids


class Desk:
    """The desk."""

    def find_ticket(self, settings: dict, key: str, cx) -> Added | None:
        """The ticket that was made with this key."""
        found = cx.http.get(f"{settings['base_url']}/tickets", query={"external_id": key}).json()["tickets"]
        return Added(None, ticket_of(found[0])) if found else None

    def create_ticket(self, settings: dict, key: str, draft: Draft, cx) -> Added:
        """Makes a ticket, with its key in the same request."""
        text = "\n".join(entry.text for entry in draft.entries)
        files = upload(settings, draft.entries, cx)
        body = {**dict(draft.fields), "external_id": key, "subject": draft.subject, "text": text, "files": files}
        return Added(None, ticket_of(cx.http.post(f"{settings['base_url']}/tickets", json_body=body).json()))

    def find_entry(self, settings: dict, key: str, ticket: Ticket, cx) -> Added | None:
        """The comment that was written with this key."""
        comments = comments_of(settings, ticket.id, cx)
        found = next((comment for comment in comments if comment.get("external_id") == key), None)
        return Added(found["id"], ticket) if found else None

    def add_entry(self, settings: dict, key: str, ticket: Ticket, entry: Entry, cx) -> Added:
        """Writes a comment, with its key in the same request."""
        files = upload(settings, [entry], cx)
        body = {"external_id": key, "text": entry.text, "public": entry.public, "files": files}
        answer = cx.http.post(f"{settings['base_url']}/tickets/{ticket.id}/comments", json_body=body)
        return Added(answer.json()["id"], ticket)

    def update_ticket(self, settings: dict, key: str, ticket: Ticket, fields: list[tuple[str, str]], cx) -> Ticket:
        """Changes a ticket."""
        answer = cx.http.put(f"{settings['base_url']}/tickets/{ticket.id}", json_body=dict(fields))
        return ticket_of(answer.json())

    def read_ticket(self, settings: dict, id: str, cx) -> Snapshot:
        """A ticket as it is."""
        ticket = ticket_of(cx.http.get(f"{settings['base_url']}/tickets/{id}").json())
        return Snapshot(ticket, [(comment["id"], comment["text"]) for comment in comments_of(settings, id, cx)])

    def receive(self, settings: dict, request: Webhook, cx) -> list[DeskActivity]:
        """What the ticket system tells."""
        key = dict(request.headers).get("x-webhook-key", "")
        if not cx.verify("webhook", "equal", b"", key.encode()):
            raise Failure.credential("the webhook's key is wrong")
        told = json.loads(request.body)
        comment = told["comment"]
        entry = AgentEntry(comment["id"], comment["public"], comment["author"], comment["text"], [])
        return [DeskActivity(told["id"], "", told["ticket"], None, told["at"], Activity_Entry(entry))]
