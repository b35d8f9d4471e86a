#!/usr/bin/env python3
"""Builds the plugin of this folder: python3 sdk/build.py [FOLDER]

Writes down the world that src/plugin.py needs (its roles, and only the imports that its plugin.toml wants, so that the
operator is asked for no other), the module that exports it, and makes the component. The contract's records, as Python
for tests and editors, are in target/patchbay/bindings afterwards.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import traceback
from pathlib import Path

SDK = Path(__file__).resolve().parent
#: The version of the contract that this SDK is for.
CONTRACT = "0.2"
#: The roles, by the names of their classes, and of what the bindings call them.
ROLES = {"Handler": "handler", "Desk": "desk", "Inspector": "inspector"}
#: What a plugin may want, and what has to be imported for it.
IMPORTS = {
    "http": "wasi:http/outgoing-handler@0.2.0",
    "media": "patchbay:plugin/blobs@{version}",
    "uploads": "patchbay:plugin/uploads@{version}",
    "keyvalue": "wasi:keyvalue/store@0.2.0-draft",
}


class Wrong(Exception):
    """What is wrong, and what to do."""


def roles_of(source: Path) -> list[str]:
    """The roles that a module has a class for, defined there or imported."""
    names = set()
    try:
        module = ast.parse(source.read_text(), str(source))
    except SyntaxError as error:
        raise Wrong("".join(traceback.format_exception_only(error)).strip()) from None
    for statement in module.body:
        if isinstance(statement, ast.ClassDef):
            names.add(statement.name)
        elif isinstance(statement, ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in statement.names)
    return [role for role in ROLES if role in names]


def world(roles: list[str], parts: list[str], version: str) -> str:
    """The world: `plain`, what is wanted, and the roles."""
    lines = [f"  include patchbay:plugin/plain@{version};"]
    lines += [f"  import {IMPORTS[part].format(version=version)};" for part in parts if part in IMPORTS]
    lines += [f"  export patchbay:plugin/{ROLES[role]}@{version};" for role in roles]
    return "package patchbay:build;\n\nworld component {\n" + "\n".join(lines) + "\n}\n"


def entry(roles: list[str], parts: list[str], version: str) -> str:
    """The module that exports the roles."""
    bases = ", ".join(f"{part}.Context" for part in parts)
    given = ", media.given" if "media" in parts else ""
    number = version.replace(".", "")
    lines = [
        "import plugin",
        "from patchbay_plugin import roles",
        f"from patchbay_plugin.host import {', '.join(parts)}",
        "",
        f"CONTEXT = type('Context', ({bases},), {{}})()",
    ]
    lines += [f"PatchbayPlugin{role}{number} = roles.role(plugin.{role}, {role!r}, CONTEXT{given})" for role in roles]
    return "\n".join(lines) + "\n"


def lay_out(folder: Path, roles: list[str], parts: list[str]) -> str:
    """Lays out the contract as a build reads it, with the world; gives the contract's version."""
    contract = next(
        (path for path in (SDK / "wit" / "patchbay", SDK.parents[1] / "wit" / CONTRACT) if path.is_dir()), None
    )
    if contract is None:
        raise Wrong(f"the contract is not beside {SDK}: begin with `patchbay plugin new`")
    text = (contract / "patchbay.wit").read_text()
    version = re.search(r"^package patchbay:plugin@([\d.]+);", text, re.MULTILINE)[1]
    shutil.rmtree(folder, ignore_errors=True)
    deps = folder / "deps"
    shutil.copytree(contract / "deps", deps)
    (deps / "patchbay-plugin").mkdir()
    (deps / "patchbay-plugin" / "patchbay.wit").write_text(text)
    if "http" in parts:
        for package in ("wasi-http", "wasi-io", "wasi-clocks"):
            shutil.copytree(SDK / "wit" / package, deps / package)
    (folder / "world.wit").write_text(world(roles, parts, version))
    return version


def tool() -> list[str]:
    """componentize-py: of the SDK's own environment, or of the one that runs this."""
    folder = "Scripts" if os.name == "nt" else "bin"
    for program in (SDK / ".venv" / folder / "componentize-py", Path(sys.executable).parent / "componentize-py"):
        if program.exists():
            return [str(program)]
    found = shutil.which("componentize-py")
    if found is None:
        raise Wrong(
            f"componentize-py is not installed: `patchbay plugin build` does it, or type\n"
            f"    python3 -m venv {SDK / '.venv'} && {SDK / '.venv/bin/pip'} install -r {SDK / 'requirements.txt'}"
        )
    return [found]


def packages(folder: Path, work: Path) -> list[Path]:
    """The project's own pure Python packages, as its requirements.txt has them."""
    wanted = folder / "requirements.txt"
    if not wanted.is_file():
        return []
    into, stamp = work / "packages", work / "packages.txt"
    if not stamp.is_file() or stamp.read_text() != wanted.read_text():
        shutil.rmtree(into, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]
        subprocess.run([*pip, str(into), "--requirement", str(wanted)], check=True)
        stamp.write_text(wanted.read_text())
    return [into]


def build(folder: Path) -> None:
    """Builds a plugin."""
    manifest = folder / "plugin.toml"
    if not manifest.is_file():
        raise Wrong(f"there is no plugin.toml in {folder}: name the plugin's folder")
    project = tomllib.loads(manifest.read_text())
    output = project.get("build", {}).get("output")
    if not isinstance(output, str):
        raise Wrong('plugin.toml: write where the component goes, [build] output = "…"')
    source = folder / "src" / "plugin.py"
    if not source.is_file():
        raise Wrong("there is no plugin: write src/plugin.py")
    roles = roles_of(source)
    if not roles:
        raise Wrong("src/plugin.py has no role: write `class Handler:` with `def handle(self, settings, event, cx): …`")
    wants = project.get("wants", {})
    http, media = bool(wants.get("http")), wants.get("media") is True
    if "Inspector" in roles and not media:
        raise Wrong("plugin.toml: an inspector reads media: write [wants] media = true")
    wanted = {"http": http, "media": media, "uploads": http and media, "keyvalue": "keyvalue" in wants}
    parts = ["plain", *(part for part, is_wanted in wanted.items() if is_wanted)]

    work = folder / "target" / "patchbay"
    (work / "entry").mkdir(parents=True, exist_ok=True)
    version = lay_out(work / "wit", roles, parts)
    (work / "entry" / "patchbay_entry.py").write_text(entry(roles, parts, version))
    common = [*tool(), "--quiet", "--wit-path", str(work / "wit"), "--world", "component", "--full-names"]
    shutil.rmtree(work / "bindings", ignore_errors=True)
    subprocess.run([*common, "bindings", str(work / "bindings")], check=True)
    component = folder / output
    component.parent.mkdir(parents=True, exist_ok=True)
    paths = [work / "entry", folder / "src", SDK, *packages(folder, work)]
    options = [option for path in paths for option in ("--python-path", str(path))]
    # Nothing of the machine's own Python belongs into a component: the tool is shown an environment without packages.
    nothing = work / "no-packages"
    (nothing / "lib" / "site-packages").mkdir(parents=True, exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {
        "VIRTUAL_ENV": str(nothing)
    }
    command = [*common, "componentize", *options, "--output", str(component), "patchbay_entry"]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Wrong(told(done.stderr))
    sys.stderr.write(done.stderr)


def told(said: str) -> str:
    """What went wrong while the plugin was imported: the plugin's traceback, without the tool's own."""
    said = said.partition("\nStack backtrace:")[0].partition("\n\nCaused by:")[0]
    said = said.rpartition("AssertionError: ")[2].strip()
    missing = re.search(r"^ModuleNotFoundError: No module named '([\w.]+)'", said, re.MULTILINE)
    if missing:
        name = missing[1].partition(".")[0]
        said += f"\nIf `{name}` is a package that is Python only, name it in the project's requirements.txt."
    return said


if __name__ == "__main__":
    try:
        build(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve())
    except Wrong as wrong:
        sys.exit(str(wrong))
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.returncode)
