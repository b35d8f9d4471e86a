//! Builds the workspace of the shipped plugins, packs their manifests and golden events into them as `patchbay plugin pack`
//! does, and writes down what to embed.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use patchbay_artefact::{Project, component};

/// What the plugins are built for.
const TARGET: &str = "wasm32-wasip2";

/// Variables of Cargo's that the inner build keeps: where things are stored and how they are fetched, and the jobs that
/// both builds share.
const KEPT: [&str; 6] =
    ["CARGO_HOME", "CARGO_HTTP_", "CARGO_MAKEFLAGS", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_"];

/// Variables besides Cargo's that are meant for the outer build only. Above all clippy, which puts itself in the
/// compiler's place and then writes no component.
const DROPPED: [&str; 8] = [
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "__CARGO_DEFAULT_LIB_METADATA",
];

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let plugins = root.join("plugins");
    for watched in ["plugins", "plugin-sdk/rust", "wit", "rust-toolchain.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let target = target_dir(&out);

    let mut cargo = clean(Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())));
    cargo.current_dir(&plugins).args(["build", "--release", "--locked", "--quiet", "--target", TARGET, "--target-dir"]);
    let output = cargo.arg(&target).output()?;
    if !output.status.success() {
        if !target_is_installed(&plugins) {
            return Err(format!(
                "the shipped plugins are built for {TARGET}, which this toolchain lacks. Add it with:\n    \
                 rustup target add {TARGET}"
            )
            .into());
        }
        return Err(format!("building {}:\n{}", plugins.display(), String::from_utf8_lossy(&output.stderr)).into());
    }

    let mut names = Vec::new();
    for entry in fs::read_dir(&plugins)? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().into_string().map_err(|name| format!("plugin name {}", name.display()))?);
        }
    }
    names.sort();
    let built = target.join(TARGET).join("release");
    for name in &names {
        pack(&plugins.join(name), name, &built, &out)?;
    }
    fs::write(out.join("embedded.rs"), embedded(&names)?)?;
    Ok(())
}

/// Writes a plugin's component with its manifest and golden events, beside the source that embeds it: another build may
/// replace the original meanwhile.
fn pack(folder: &Path, name: &str, built: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let project = Project::read(folder)?;
    let manifest = project.manifest();
    if manifest.name != name {
        return Err(format!(
            "{}: its plugin.toml calls it `{}`; write the folder's name",
            folder.display(),
            manifest.name
        )
        .into());
    }
    let file = format!("{name}.wasm");
    let from = built.join(file.replace('-', "_"));
    let component = fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
    let packed = component::pack(&component, manifest, project.golden())
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    fs::write(out.join(file), packed)?;
    Ok(())
}

/// The source that embeds the components.
fn embedded(names: &[String]) -> Result<String, std::fmt::Error> {
    let mut source = String::from("pub(crate) static COMPONENTS: &[(&str, &[u8])] = &[\n");
    for name in names {
        writeln!(source, "    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"))),")?;
    }
    writeln!(source, "];\npub(crate) static NAMES: &[&str] = &{names:?};")?;
    Ok(source)
}

/// A target directory of their own for the plugins, the same for every profile of the outer build: the outer build
/// holds the lock of its own. `OUT_DIR` is `target/PROFILE/build/PACKAGE/out`.
fn target_dir(out: &Path) -> PathBuf {
    out.ancestors().nth(4).unwrap_or(out).join("plugins")
}

/// Takes away what was meant for the outer build only.
fn clean(mut command: Command) -> Command {
    let dropped = |name: &OsString| {
        let name = name.to_string_lossy();
        let of_cargo = name.starts_with("CARGO_") && !KEPT.iter().any(|kept| name.starts_with(kept));
        of_cargo || DROPPED.contains(&name.as_ref())
    };
    for (name, _) in env::vars_os().filter(|(name, _)| dropped(name)) {
        command.env_remove(name);
    }
    command
}

/// Whether the toolchain that builds the plugins has their target's standard library.
fn target_is_installed(plugins: &Path) -> bool {
    let mut rustc = clean(Command::new("rustc"));
    let output = rustc.current_dir(plugins).args(["--print", "target-libdir", "--target", TARGET]).output();
    output.is_ok_and(|output| {
        output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    })
}
