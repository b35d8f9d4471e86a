"""How urgent a text is."""

import re
from dataclasses import dataclass

#: What makes a message urgent: a regular expression, its points, and what it is in a word or two.
SIGNS = [
    {"pattern": r"\b(fire|smoke|burn(s|t|ed|ing)?|electric shock|injur(y|ed))\b", "points": 10, "about": "danger"},
    {"pattern": r"\b(down|outage|cannot log ?in|can't log ?in)\b", "points": 5, "about": "an outage"},
    {"pattern": r"\b(lawyer|legal action|sue)\b", "points": 5, "about": "legal words"},
    {"pattern": r"\b(cancel|refund|money back)\b", "points": 3, "about": "may leave"},
    {"pattern": r"!{2,}", "points": 2, "about": "exclamation marks"},
]
#: From how many points on a conversation goes where, the highest first.
QUEUES = [
    {"from": 10, "queue": "safety", "priority": "urgent"},
    {"from": 5, "queue": "support", "priority": "high"},
    {"from": 0, "queue": "support", "priority": "normal"},
]


@dataclass
class Score:
    """The points of a text, and what they are for."""

    points: int
    signs: list[str]

    @property
    def reason(self) -> str:
        """For the people who will ask."""
        return f"score {self.points}: {', '.join(self.signs) or 'nothing urgent'}"


def score(text: str, signs: list[dict]) -> Score:
    """Adds up the signs that are in a text, each once."""
    there = [sign for sign in signs if re.search(sign["pattern"], text, re.IGNORECASE)]
    return Score(sum(sign["points"] for sign in there), [sign["about"] for sign in there])


def place(points: int, queues: list[dict]) -> dict | None:
    """Where so many points belong."""
    return next((queue for queue in queues if points >= queue["from"]), None)
