"""Saying what an inspector found."""

from __future__ import annotations

from .types import Decision, Finding
from .types import Verdict as Contract


class Verdict(Contract):
    """What an inspector answers. Each method adds something and gives the verdict back."""

    def __init__(self, decision: str) -> None:
        """Use `pass`, `warn` or `quarantine`."""
        super().__init__(Decision[decision.upper()], [], None, [], [])

    def label(self, word: str, confidence: float = 1.0) -> Verdict:
        """A word for what is in it, and the confidence, 0 to 1."""
        self.labels.append((word, confidence))
        return self

    def measure(self, name: str, value: float) -> Verdict:
        """A number by its name: sharpness, brightness, width …"""
        self.measures.append((name, float(value)))
        return self

    def finding(self, code: str, detail: str, score: float = 1.0) -> Verdict:
        """Something found: a code for machines, a sentence for people, the confidence, 0 to 1."""
        self.findings.append(Finding(code, detail, score))
        return self

    def with_text(self, text: str) -> Verdict:
        """Text that was found in it."""
        self.text = text
        return self
