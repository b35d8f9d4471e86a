"""Puts a plugin's classes behind the contract's exports. The build writes the module that calls this."""

from __future__ import annotations

import json
from typing import Any, Callable

from componentize_py_types import Err
from wit_world.imports import wasi_config_store_0_2_0_rc_1 as config

from .failure import Failure
from .types import Failure_Credential, Failure_Permanent, Failure_Retry, Retry

#: The methods of each role, by the name of its class.
ROLES = {
    "Handler": ["handle"],
    "Desk": [
        "find_ticket",
        "create_ticket",
        "find_entry",
        "add_entry",
        "update_ticket",
        "read_ticket",
        "receive",
    ],
    "Inspector": ["inspect"],
}


def role(plugin: type, name: str, context: Any, given: Callable[[Any], Any] = lambda value: value) -> type:
    """The class that exports one role: each method calls the plugin's own, with settings and context."""
    its = plugin()
    missing = [method for method in ROLES[name] if not callable(getattr(its, method, None))]
    if missing:
        raise TypeError(f"class {name} of the plugin has no method {', '.join(missing)}")
    methods = {method: export(getattr(its, method), context, given) for method in ROLES[name]}
    return type(name, (), methods)


def export(method: Callable[..., Any], context: Any, given: Callable[[Any], Any]) -> Callable[..., Any]:
    """One function of the contract."""

    def call(_self: Any, *arguments: Any) -> Any:
        try:
            return method(settings(), *map(given, arguments), context)
        except Failure as failure:
            raise Err(contract_failure(failure)) from None

    return call


def settings() -> dict[str, Any]:
    """The table `[plugins.NAME.settings]`."""
    return json.loads(config.get("settings") or "{}")


def contract_failure(failure: Failure) -> Failure_Retry | Failure_Permanent | Failure_Credential:
    """A failure as it crosses to the host."""
    if failure.kind == "retry":
        return Failure_Retry(Retry(failure.after_ms, failure.reason))
    if failure.kind == "credential":
        return Failure_Credential(failure.reason)
    return Failure_Permanent(failure.reason)
