"""A module of the plugin's own."""


def louder(text: str) -> str:
    """The text, with an exclamation mark."""
    return f"{text}!"
