"""zenpy, a Zendesk client that is not ours, against the simulator. Usage: zenpy_client.py SIMULATOR_URL."""

import io
import sys

import requests
from requests.adapters import HTTPAdapter
from zenpy import Zenpy
from zenpy.lib.api_objects import Comment, Ticket, User
from zenpy.lib.exception import APIException

SIMULATOR = sys.argv[1]


class Redirected(HTTPAdapter):
    """zenpy builds addresses below zendesk.com; they lead to the simulator here."""

    def send(self, request, **options):
        there = request.copy()
        there.url = request.url.replace("https://simulated.zendesk.com", f"{SIMULATOR}/zendesk")
        response = super().send(there, **options)
        # zenpy tells answers apart by the path that it asked for.
        response.request, response.url = request, request.url
        return response


session = requests.Session()
session.mount("https://simulated.zendesk.com", Redirected())
zendesk = Zenpy(
    subdomain="simulated",
    email="agent@example.com",
    token="simulated-zendesk-token",
    session=session,
    disable_cache=True,
)

assert zendesk.users.me().email == "agent@example.com"

ada = zendesk.users.create_or_update(User(name="Ada Brooks", phone="+447700900001", external_id="customer-1"))
again = zendesk.users.create_or_update(User(name="Ada B.", external_id="customer-1"))
assert again.id == ada.id and zendesk.users(id=ada.id).name == "Ada B."

upload = zendesk.attachments.upload(io.BytesIO(b"a receipt"), target_name="receipt.txt", content_type="text/plain")

audit = zendesk.tickets.create(
    Ticket(
        subject="Broken kettle",
        requester_id=ada.id,
        external_id="key-1",
        tags=["queue:returns"],
        priority="high",
        comment=Comment(body="It leaks", author_id=ada.id, uploads=[upload.token]),
    )
)
ticket = audit.ticket
assert ticket.status == "new" and ticket.tags == ["queue:returns"], ticket.to_dict()
assert [event["type"] for event in audit.audit.events][0] == "Comment"

ticket.comment = Comment(body="Looked at it", public=False)
ticket.status = "pending"
zendesk.tickets.update(ticket)
comments = list(zendesk.tickets.comments(ticket=ticket.id))
assert [(comment.body, comment.public) for comment in comments] == [("It leaks", True), ("Looked at it", False)]
file = comments[0].attachments[0]
assert file.file_name == "receipt.txt" and requests.get(file.content_url, timeout=30).text == "a receipt"

audits = list(zendesk.tickets.audits(ticket=ticket.id))
assert len(audits) == 2, audits
found = [found.id for found in zendesk.search(type="ticket", external_id="key-1")]
assert found == [ticket.id], found
assert "queue:returns" in zendesk.tickets.add_tags(ticket.id, ["vip"])

ticket = zendesk.tickets(id=ticket.id)
assert ticket.status == "pending"
ticket.status = "closed"
zendesk.tickets.update(ticket)
try:
    zendesk.tickets.update(Ticket(id=ticket.id, comment=Comment(body="too late")))
except APIException as error:
    assert error.response.status_code == 422 and "closed" in error.response.text, error.response.text
else:
    raise AssertionError("a closed ticket was changed")
print("zenpy is content")
