"""Why a call did not succeed. What the gateway does next follows from it, so say the truth."""

from __future__ import annotations

import math


class Failure(Exception):
    """Raise it from any role. Reasons are read by people and stand in logs: put nothing of a customer there."""

    def __init__(self, kind: str, reason: str, after_ms: int | None = None):
        """Use `retry`, `permanent` or `credential`."""
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.after_ms = after_ms

    @classmethod
    def retry(cls, reason: str, after_seconds: float | None = None) -> Failure:
        """Worth another try, after so many seconds if the other side said so."""
        return cls("retry", reason, None if after_seconds is None else max(0, math.ceil(after_seconds * 1000)))

    @classmethod
    def permanent(cls, reason: str) -> Failure:
        """Never worth another try."""
        return cls("permanent", reason)

    @classmethod
    def credential(cls, reason: str) -> Failure:
        """The credential does not work; from `Desk.receive`: the webhook's signature is wrong."""
        return cls("credential", reason)
