//! Compiling in a process of its own, with this very binary: what it gives, its limits, and that it runs once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use patchbay_runtime::{CompileLimits, Compiler, Engine, EngineOptions, Grants, Limits, LoadError, PluginSpec, Role};
use tempfile::TempDir;

fn this_binary() -> Compiler {
    Compiler::Process { program: env!("CARGO_BIN_EXE_patchbay").into(), args: vec!["compile-component".into()] }
}

/// A shell script in the compiler's place.
fn script(folder: &Path, body: &str) -> Compiler {
    let program = folder.join("compiler.sh");
    let mut file = fs::File::create(&program).unwrap();
    writeln!(file, "#!/bin/sh\n{body}").unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o700)).unwrap();
    Compiler::Process { program, args: vec!["compile-component".into()] }
}

fn engine(folder: &TempDir, compiler: Compiler, limits: Option<CompileLimits>) -> Engine {
    Engine::new(EngineOptions {
        concurrent_calls: 2,
        cache_dir: Some(folder.path().join("compiled")),
        compiler,
        compile_limits: limits,
        ..EngineOptions::default()
    })
    .unwrap()
}

fn spec(component: Bytes) -> PluginSpec {
    PluginSpec {
        name: "acme".into(),
        generation: 1,
        component,
        settings: serde_json::Map::new(),
        grants: Grants::default(),
        secrets: std::collections::BTreeMap::new(),
        limits: Limits::default(),
    }
}

fn router() -> Bytes {
    Bytes::from_static(patchbay_builtin::component("keyword-router").unwrap())
}

fn files(folder: &TempDir) -> Vec<PathBuf> {
    fs::read_dir(folder.path().join("compiled")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn length(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        bytes.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return bytes;
        }
    }
}

fn section(id: u8, body: &[u8]) -> Vec<u8> {
    [&[id], length(body.len()).as_slice(), body].concat()
}

/// A component that looks like a handler from outside, with functions that do arithmetic in one long line: each step
/// needs the ones before it, 64 values are always alive, and all of them count in the end.
fn of_long_functions(functions: usize, steps: usize) -> Bytes {
    let mut code = vec![];
    // 64 locals of i64, behind the one parameter.
    code.extend([1, 64, 0x7e]);
    for step in 0..steps {
        let (from, to) = ((step % 64 + 1) as u8, ((step * 7 + 1) % 64 + 1) as u8);
        // local.get from; local.get to; i64.mul; local.get 0; i64.add; local.get to; i64.const 3; i64.rotl; i64.xor;
        // local.set to
        code.extend([0x20, from, 0x20, to, 0x7e, 0x20, 0, 0x7c, 0x20, to, 0x42, 3, 0x89, 0x85, 0x21, to]);
    }
    // local.get 0; then local.get …; i64.xor for each.
    code.extend([0x20, 0]);
    code.extend((1..=64).flat_map(|local| [0x20, local, 0x85]));
    code.push(0x0b);
    let body = [length(code.len()), code].concat();
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // One type: i64 -> i64.
    module.extend(section(1, &[1, 0x60, 1, 0x7e, 1, 0x7e]));
    module.extend(section(3, &[length(functions), vec![0; functions]].concat()));
    module.extend(section(10, &[length(functions), body.repeat(functions)].concat()));
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    component.extend(section(1, &module));
    // An instance of nothing, exported as the role.
    component.extend(section(5, &[1, 1, 0]));
    let name = b"patchbay:plugin/handler@0.1.0";
    component.extend(section(11, &[&[1, 0, name.len() as u8], name.as_slice(), &[5, 0, 0]].concat()));
    component.into()
}

#[tokio::test]
async fn what_the_process_compiles_runs_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = engine(&folder, this_binary(), None).load(spec(router())).await.unwrap();
    assert_eq!(plugin.roles(), [Role::Handler]);
    let kept = files(&folder);
    assert_eq!(kept.len(), 1, "{kept:?}");
    // Somebody who compiles here themselves finds it: parent and child are the same engine.
    let nobody = script(folder.path(), "exit 1");
    engine(&folder, nobody, None).load(spec(router())).await.unwrap();
    assert_eq!(files(&folder), kept);
}

#[tokio::test]
async fn each_component_is_compiled_once_however_many_ask() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let body = format!("echo once >> {}\nexec {} \"$@\"", count.display(), env!("CARGO_BIN_EXE_patchbay"));
    let engine = engine(&folder, script(folder.path(), &body), None);
    let loads = (0..6).map(|_| engine.load(spec(router())));
    for loaded in futures::future::join_all(loads).await {
        loaded.unwrap();
    }
    assert_eq!(fs::read_to_string(count).unwrap(), "once\n");
}

#[tokio::test]
async fn too_much_processor_time() {
    let folder = tempfile::tempdir().unwrap();
    let component = of_long_functions(40, 20_000);
    let limits = CompileLimits { cpu: Duration::from_secs(1), ..CompileLimits::of(component.len()) };
    let begun = Instant::now();
    let error = engine(&folder, this_binary(), Some(limits)).load(spec(component.clone())).await.unwrap_err();
    println!("{} bytes were given up after {:?}: {error}", component.len(), begun.elapsed());
    let text = error.to_string();
    assert!(matches!(error, LoadError::CompileLimit { .. }), "{text}");
    for words in ["plugin `acme` is not compiled", "more than 1 s of processor time", "build it in release mode"] {
        assert!(text.contains(words), "{text}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(files(&folder).is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn too_much_memory() {
    let folder = tempfile::tempdir().unwrap();
    let component = of_long_functions(40, 20_000);
    // The program itself and its threads take most of it.
    let limits = CompileLimits { memory: 300 << 20, ..CompileLimits::of(component.len()) };
    let error = engine(&folder, this_binary(), Some(limits)).load(spec(component)).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, LoadError::CompileLimit { .. }), "{text}");
    assert!(text.contains("more than 300 MiB of memory"), "{text}");
}

#[tokio::test]
async fn too_long_and_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let usual = CompileLimits::of(router().len());
    let limits = CompileLimits { wall: Duration::from_millis(300), ..usual };
    let sleeper = script(folder.path(), "exec sleep 100");
    let error = engine(&folder, sleeper, Some(limits)).load(spec(router())).await.unwrap_err();
    assert!(matches!(&error, LoadError::CompileLimit { why, .. } if why.contains("longer than")), "{error}");
    let limits = CompileLimits { artefact: 10_000, ..usual };
    let error = engine(&folder, this_binary(), Some(limits)).load(spec(router())).await.unwrap_err();
    assert!(matches!(error, LoadError::CompileLimit { .. } | LoadError::Host(_)), "{error}");
    assert!(files(&folder).is_empty(), "nothing is left behind");
}

#[tokio::test]
async fn what_the_compiler_refuses_it_explains() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = of_long_functions(1, 10).to_vec();
    // The function's last instruction but one.
    let at = bytes.windows(3).rposition(|window| window == [64, 0x85, 0x0b]).unwrap();
    bytes[at + 1] = 0xff;
    let error = engine(&folder, this_binary(), None).load(spec(bytes.into())).await.unwrap_err();
    assert!(matches!(&error, LoadError::Compile { why, .. } if why.contains("offset")), "{error}");
}

#[tokio::test]
async fn a_process_that_fails_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let broken = script(folder.path(), "echo 'thread panicked at the disco' >&2\nexit 101");
    let error = engine(&folder, broken, None).load(spec(router())).await.unwrap_err();
    assert!(matches!(&error, LoadError::Compile { why, .. } if why.contains("at the disco")), "{error}");
    let none = Compiler::Process { program: folder.path().join("no-such"), args: Vec::new() };
    let error = engine(&folder, none, None).load(spec(router())).await.unwrap_err();
    assert!(matches!(&error, LoadError::Host(why) if why.contains("no-such")), "{error}");
    // It says that all is well, and has written nothing that was compiled.
    let liar = script(folder.path(), "cat > /dev/null\necho hello");
    let error = engine(&folder, liar, None).load(spec(router())).await.unwrap_err();
    assert!(matches!(&error, LoadError::Host(_)), "{error}");
    assert!(files(&folder).is_empty(), "nothing is left behind");
}

#[test]
fn another_engine_is_not_compiled_for() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_patchbay"))
        .args(["compile-component", "--engine", "00", "--cpu", "20", "--memory", "4000000000", "--artefact", "1000000"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&router()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("was asked for 00"), "{said}");
}
