"""Looking into events."""

from __future__ import annotations

from .types import (
    Body_Message,
    Content_Choice,
    Content_Media,
    Content_Text,
    Conversation,
    Event,
    Media,
    Message,
    Ticket,
)


def message_of(event: Event) -> Message | None:
    """The message, if the customer wrote one."""
    return event.body.value if isinstance(event.body, Body_Message) else None


def text_of(event: Event) -> str | None:
    """The words of a message: its text, the caption of its media, or the title of what was chosen."""
    message = message_of(event)
    content = message.content if message else None
    if isinstance(content, Content_Text):
        return content.value
    if isinstance(content, Content_Media):
        return content.value.caption
    if isinstance(content, Content_Choice):
        return content.value.title
    return None


#: Endings of file names that are not what stands in the media type.
ENDINGS = {"image/jpeg": "jpg", "audio/mpeg": "mp3", "text/plain": "txt", "video/3gpp": "3gp"}


def display_name(media: Media) -> str:
    """The name to show for a file: the sender's, or one made of its kind."""
    if media.file_name is not None:
        return media.file_name
    subtype = media.mime.rpartition("/")[2]
    short = subtype if len(subtype) <= 4 and subtype.isascii() and subtype.isalnum() else "bin"
    return f"{media.kind.name.lower()}.{ENDINGS.get(media.mime, short)}"


def attribute(conversation: Conversation, key: str) -> str | None:
    """An attribute of a conversation."""
    return next((value for name, value in conversation.attributes if name == key), None)


def ticket_in(conversation: Conversation, desk: str) -> Ticket | None:
    """The conversation's ticket in this desk."""
    return next((ticket for ticket in conversation.tickets if ticket.desk == desk), None)
