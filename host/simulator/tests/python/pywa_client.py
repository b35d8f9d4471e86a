"""pywa, a client of the WhatsApp Cloud API that is not ours, on both sides of the simulator.

Usage: pywa_client.py SIMULATOR_URL. Prints the port of its webhook receiver, waits for a line on standard input, then
checks; the exit code tells the outcome.
"""

import http.server
import json
import queue
import sys
import threading
import urllib.parse
import urllib.request

from pywa import WhatsApp
from pywa.handlers import CallbackButtonHandler, CallbackSelectionHandler, MessageHandler, MessageStatusHandler
from pywa.types import Button, Section, SectionList, SectionRow

SIMULATOR = sys.argv[1]
ADA = "447700900001"

wa = WhatsApp(
    phone_id="106540352242922",
    token="simulated-access-token",
    server=None,
    verify_token="simulated-verify-token",
    app_secret="simulated-app-secret",
    filter_updates=True,
    api_version=24.0,
)
wa.api._session.base_url = f"{SIMULATOR}/graph/v24.0"

messages, statuses, buttons, choices, failures, refused = (queue.Queue() for _ in range(6))
wa.add_handlers(
    MessageHandler(lambda _, message: messages.put(message)),
    MessageStatusHandler(lambda _, status: statuses.put(status)),
    CallbackButtonHandler(lambda _, button: buttons.put(button)),
    CallbackSelectionHandler(lambda _, choice: choices.put(choice)),
)


class Receiver(http.server.BaseHTTPRequestHandler):
    def answer(self, text, status):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(str(text or "").encode())

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(self.path).query))
        self.answer(*wa.webhook_challenge_handler(vt=query.get("hub.verify_token"), ch=query.get("hub.challenge")))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        error = wa.webhook_update_validator(body, self.headers.get("X-Hub-Signature-256"))
        if error:
            refused.put(error)
            return self.answer(*error)
        value = json.loads(body)["entry"][0]["changes"][0]["value"]
        if any(status["status"] == "failed" for status in value.get("statuses", [])):
            # Meta sends no contacts with a failure, and pywa 4.5 cannot do without.
            failures.put(value)
            return self.answer("ok", 200)
        self.answer(*wa.webhook_update_handler(body))

    def log_message(self, *_):
        pass


def inbound(**message):
    data = json.dumps({"from": ADA, **message}).encode()
    request = urllib.request.Request(
        f"{SIMULATOR}/_sim/whatsapp/inbound?wait=1", data, {"content-type": "application/json"}
    )
    answer = json.load(urllib.request.urlopen(request))
    assert answer["status"] == 200, (answer, list(refused.queue))
    return answer["id"]


def next_of(of):
    return of.get(timeout=30)


def three_statuses(sent):
    names = [next_of(statuses) for _ in range(3)]
    assert [status.id for status in names] == [sent.id] * 3, names
    return [str(status.status).lower().rsplit(".", 1)[-1] for status in names]


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.readline()

# Signed webhooks, handled by a library that insists on Meta's shape.
wamid = inbound(type="text", text={"body": "Grüße 🎉 a/b"}, name="Ada Brooks")
message = next_of(messages)
assert message.id == wamid and message.text == "Grüße 🎉 a/b", message
assert message.from_user.wa_id == ADA and message.from_user.name == "Ada Brooks", message.from_user
assert message.from_user.bsuid.startswith("GB."), message.from_user

# Sending, and the statuses that come back.
sent = wa.send_message(to=ADA, text="Hello, how can we help?", tracker="pb1:c:t")
assert sent.id.startswith("wamid."), sent
assert three_statuses(sent) == ["sent", "delivered", "read"]

menu = wa.send_message(
    to=ADA,
    text="What shall we do?",
    buttons=[Button(title="Replace", callback_data="replace"), Button(title="Refund", callback_data="refund")],
)
three_statuses(menu)
inbound(
    type="interactive",
    interactive={"type": "button_reply", "button_reply": {"id": "refund", "title": "Refund"}},
    context={"id": menu.id},
)
pressed = next_of(buttons)
assert pressed.data == "refund" and pressed.reply_to_message.id == menu.id, pressed

days = wa.send_message(
    to=ADA,
    text="Which day?",
    buttons=SectionList(
        button_title="Choose",
        sections=[Section(title="Days", rows=[SectionRow(title="Monday", callback_data="mon", description="early")])],
    ),
)
three_statuses(days)
inbound(
    type="interactive",
    interactive={"type": "list_reply", "list_reply": {"id": "mon", "title": "Monday", "description": "early"}},
    context={"id": days.id},
)
assert next_of(choices).data == "mon"

# Media, both ways.
upload = urllib.request.Request(
    f"{SIMULATOR}/_sim/whatsapp/media", b"not really a picture", {"content-type": "image/jpeg"}
)
media = json.load(urllib.request.urlopen(upload))["id"]
inbound(type="image", image={"id": media, "caption": "the receipt"})
picture = next_of(messages)
assert picture.image is not None and picture.caption == "the receipt", picture
described = wa.get_media_url(media_id=picture.image.id)
assert described.mime_type == "image/jpeg" and described.file_size == 20, described
request = urllib.request.Request(described.url, headers={"Authorization": "Bearer simulated-access-token"})
assert urllib.request.urlopen(request).read() == b"not really a picture"
uploaded = wa.upload_media(media=b"%PDF-1.4", mime_type="application/pdf", filename="a.pdf")
three_statuses(wa.send_document(to=ADA, document=uploaded.id, filename="a.pdf", caption="Your label"))

# Marks, reactions, and errors that the library knows by their code.
assert wa.mark_message_as_read(message_id=picture.id)
assert wa.indicate_typing(message_id=picture.id)
wa.send_reaction(to=ADA, emoji="👍", message_id=picture.id)
next_of(statuses)
try:
    wa.send_message(to=ADA, text="x" * 4097)
except Exception as error:
    assert getattr(error, "code", None) == 100, repr(error)
else:
    raise AssertionError("a text that is too long was taken")
late = wa.send_message(to="447700900077", text="Hello?")
failed = next_of(failures)
status = failed["statuses"][0]
assert status["id"] == late.id and status["errors"][0]["code"] == 131047 and "contacts" not in failed, failed
assert not refused.queue, list(refused.queue)
print("pywa is content", flush=True)
