"""Holds the Python SDK against the contract: PYTHON tests/types/python.py, with the SDK's own interpreter.

componentize-py makes the records and roles of wit/0.2. What the SDK exports, the methods of its roles, of its templates and
of the example have to be the contract's; and what a test asks of `FakeContext` has to be what a plugin may ask of a
gateway.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SDK = ROOT / "plugin-sdk" / "python"
sys.path.insert(0, str(SDK))

import build as sdk  # noqa: E402

#: What a plugin may want, all of it.
EVERYTHING = ["plain", "http", "media", "uploads", "keyvalue"]
#: Plugins whose methods have to be the contract's.
PLUGINS = [
    *sorted((SDK.parent / "templates/python").glob("*/src/plugin.py")),
    ROOT / "examples/triage-python/src/plugin.py",
]
wrong: list[str] = []


def expect(holds: bool, sentence: str) -> None:
    """Remembers what does not hold."""
    if not holds:
        wrong.append(sentence)


def generate(folder: Path) -> None:
    """The contract's bindings, for a component with all roles and all wants."""
    sdk.lay_out(folder / "wit", list(sdk.ROLES), EVERYTHING)
    command = [*sdk.tool(), "--quiet", "--wit-path", str(folder / "wit"), "--world", "component", "--full-names"]
    subprocess.run([*command, "bindings", str(folder / "bindings")], check=True)
    sys.path.insert(0, str(folder / "bindings"))


def methods(source: Path) -> dict[str, dict[str, list[str]]]:
    """The public methods of a module's classes, with their parameters but `self`."""
    found: dict[str, dict[str, list[str]]] = {}
    for statement in ast.parse(source.read_text()).body:
        if isinstance(statement, ast.ClassDef):
            its = found.setdefault(statement.name, {})
            for each in statement.body:
                if isinstance(each, ast.FunctionDef) and not each.name.startswith("_"):
                    its[each.name] = [given.arg for given in [*each.args.args, *each.args.kwonlyargs]][1:]
    return found


def contract() -> dict[str, dict[str, list[str]]]:
    """The contract's roles: their methods, with the parameters."""
    exports = import_module("wit_world.exports")
    roles = {}
    for role in sdk.ROLES:
        protocol = vars(getattr(exports, f"PatchbayPlugin{role}020"))
        its = {
            name: value for name, value in protocol.items() if inspect.isfunction(value) and not name.startswith("_")
        }
        roles[role] = {name: list(inspect.signature(value).parameters)[1:] for name, value in its.items()}
    return roles


def check_roles(roles: dict[str, dict[str, list[str]]]) -> None:
    """The roles of the SDK, of the templates and of the example are the contract's."""
    tree = ast.parse((SDK / "patchbay_plugin/roles.py").read_text())
    listed = next(each.value for each in tree.body if isinstance(each, ast.Assign) and each.targets[0].id == "ROLES")
    ours = ast.literal_eval(listed)
    expect(ours == {role: list(its) for role, its in roles.items()}, f"roles.py has {ours}, and the contract {roles}")
    for plugin in PLUGINS:
        for role, its in methods(plugin).items():
            for name, parameters in roles[role].items():
                # An inspector is given media that is open, where the contract has its bytes.
                expected = ["settings", *("media" if word == "bytes" else word for word in parameters), "cx"]
                given = its.get(name)
                expect(given == expected, f"{plugin.relative_to(ROOT)}: {role}.{name} takes {given}, not {expected}")


def check_records() -> None:
    """Every record of the contract can be imported from where the SDK says."""
    for module, bindings in {
        "types": "imports.patchbay_plugin_types_0_2_0",
        "handler": "exports.patchbay_plugin_handler_0_2_0",
        "desk": "exports.patchbay_plugin_desk_0_2_0",
    }.items():
        records = vars(import_module(f"wit_world.{bindings}"))
        ours = vars(import_module(f"patchbay_plugin.{module}"))
        for name, record in records.items():
            if inspect.isclass(record) and record.__module__.startswith("wit_world"):
                # The SDK's own Outcome stands in the place of the contract's, and is one.
                same = ours.get(name) is record or (inspect.isclass(ours.get(name)) and issubclass(ours[name], record))
                expect(same, f"patchbay_plugin.{module} lacks {name}")


def check_context() -> None:
    """A test's context has what a gateway's has, with the same parameters."""
    fake = methods(SDK / "patchbay_plugin/testing.py")
    host = {part: methods(SDK / f"patchbay_plugin/host/{part}.py") for part in EVERYTHING}
    word = lambda names: [name.removeprefix("_") for name in names]  # noqa: E731
    pairs = [(host[part]["Context"], fake["FakeContext"], f"{part}.Context") for part in EVERYTHING]
    pairs += [
        (host["keyvalue"]["Store"], fake["FakeStore"], "Store"),
        (host["media"]["Media"], fake["FakeMedia"], "Media"),
    ]
    for real, made_up, what in pairs:
        for name, given in real.items():
            expect(
                word(made_up.get(name, ["nothing"])) == given, f"testing.py: {what}.{name} takes {given} at a gateway"
            )


with tempfile.TemporaryDirectory() as folder:
    generate(Path(folder))
    check_roles(contract())
    check_records()
    check_context()
for sentence in wrong:
    print(sentence, file=sys.stderr)
sys.exit(1 if wrong else 0)
