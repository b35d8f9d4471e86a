//! Secrets: refused as literals, never shown, looked for.

use super::*;

#[test]
fn a_literal_secret_is_refused_and_never_shown() {
    for (old, new) in [
        ("\"env:A\"", "\"hunter2\""),
        ("\"env:A\"", "'''\nhunter2'''"),
        ("\"env:B\"", "{ value = \"hunter2\" }"),
        ("\"env:B\"", "[\"hunter2\"]"),
        ("\"env:C\"", "\"env:hunter2-\""),
        ("\"env:C\"", "\"hunter2"),
        ("\"env:C\"", "hunter2"),
        ("verify_token = \"env:B\"", "verify_token = \"env:B\"\nverify_tokn = \"hunter2\""),
        ("app_secrets = [\"env:A\"]", "app_secrets = [\n  \"hunter2\n]"),
        ("app_secrets = [\"env:A\"]", "app_secrets = \"hunter2\""),
        ("[whatsapp]", "[credentials.x]\ntype = \"baisc\"\nusername = \"x\"\npassword = \"hunter2\"\n[whatsapp]"),
        ("[whatsapp]", "[credentials.x]\npassword = \"hunter2\"\n[whatsapp]"),
        ("[whatsapp]", "credentials = { x = { type = \"x\", password = \"hunter2\" } }\n[whatsapp]"),
        ("[[chains]]", "settings = { api_token = \"hunter2\" }\n[[chains]]"),
        ("[[chains]]", "settings = { url = \"https://me:hunter2@example.com\" }\n[[chains]]"),
        ("[whatsapp]", "[whatsapp]\ngraph_url = \"https://me:hunter2@example.com\""),
    ] {
        assert!(GOOD.contains(old));
        let checked = check(&GOOD.replace(old, new));
        let problems = checked.problems;
        assert!(!problems.is_empty(), "{new}");
        for shown in [problems.to_string(), problems.coloured(), problems.json_lines(), format!("{problems:?}")] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
    assert_eq!(
        instead("\"env:C\"", "\"hunter2\""),
        "error 8:16 whatsapp.numbers[0].access_token | a secret does not stand in this file, only where it is | write \
         \"env:WHATSAPP_ACCESS_TOKEN\" and set that variable, or \"file:/run/secrets/whatsapp-access-token\""
    );
}

#[test]
fn secrets_have_to_be_there() {
    let nothing = |_: &str| None;
    let text = format!("{GOOD}[admin]\ntoken_secrets = [\"file:nothing\"]\n");
    let checked = Config::from_toml("x", text.clone(), Path::new("/nowhere"), Secrets::Required(&nothing));
    let shown: Vec<(usize, &str)> =
        checked.problems.as_slice().iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    assert_eq!(
        shown,
        [
            (3, "the environment variable `A` is not set"),
            (4, "the environment variable `B` is not set"),
            (8, "the environment variable `C` is not set"),
            (15, "cannot read file:/nowhere/nothing: No such file or directory (os error 2)"),
        ]
    );
    assert!(Config::from_toml("x", text, Path::new("/nowhere"), Secrets::Unseen).config.is_some());
    let short = |name: &str| Some(OsString::from(if name == "SHORT" { "0123456789" } else { "x" }));
    let text = format!("{GOOD}[admin]\ntoken_secrets = [\"env:SHORT\"]\n");
    let checked = Config::from_toml("x", text, Path::new("."), Secrets::Required(&short));
    assert_eq!(checked.problems.as_slice()[0].message, "env:SHORT is shorter than 32 bytes: too short to sign tokens");
}
