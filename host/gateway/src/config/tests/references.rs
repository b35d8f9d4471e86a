//! What one section says and another has to know, and what probably is not meant.

use super::*;

#[test]
fn names_that_nobody_has() {
    assert_eq!(
        instead("plugin = \"acknowledge\"", "plugin = \"acknowledge\" }, { plugin = \"acknowlege\""),
        "error 13:49 chains[0].steps[1].plugin | there is no plugin `acknowlege` | write \"acknowledge\""
    );
    assert_eq!(
        only("match = { channels = [\"suport\"] }\n"),
        "error 14:23 chains[0].match.channels[0] | there is no number `suport` | write \"support\""
    );
    assert_eq!(
        only("fallback = { desk = \"zendesk\", queue = \"x\" }\n"),
        "error 14:21 chains[0].fallback.desk | there is no desk `zendesk` | add a section [desks.zendesk]"
    );
    assert_eq!(
        only("match = { kinds = [\"messages\"] }\n"),
        "error 14:20 chains[0].match.kinds[0] | no event is of the kind `messages` | write \"message\""
    );
    assert_eq!(
        instead("builtin:acknowledge", "builtin:aknowledge"),
        "error 10:10 plugins.acknowledge.source | no plugin `aknowledge` ships with the gateway | write \
         \"builtin:acknowledge\""
    );
    assert_eq!(
        instead("[[chains]]", "[[plugins.acknowledge.grants.http]]\nhost = \"a.b\"\ncredential = \"zen\"\n[[chains]]"),
        "error 13:14 plugins.acknowledge.grants.http[0].credential | there is no credential `zen` | add a section \
         [credentials.zen]"
    );
    assert_eq!(
        only("[desks.zendesk]\nplugin = \"zendesk\"\n"),
        "error 15:10 desks.zendesk.plugin | there is no plugin `zendesk` | write one of acknowledge, or add a section \
         [plugins.zendesk]"
    );
}

#[test]
fn a_file_that_is_no_component() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("core.wasm"), b"\0asm\x01\0\0\0rest").unwrap();
    std::fs::write(folder.path().join("text.wasm"), b"hello").unwrap();
    std::fs::write(folder.path().join("good.wasm"), b"\0asm\x0d\0\x01\0rest").unwrap();
    let message = |file: &str| {
        let text = GOOD.replace("builtin:acknowledge", &format!("file:{file}"));
        let checked = Config::from_toml("x", text, folder.path(), Secrets::Unseen);
        checked.problems.as_slice().first().map(|problem| problem.message.clone()).unwrap_or_default()
    };
    assert!(message("core.wasm").ends_with("core.wasm is a core WebAssembly module, not a component"));
    assert!(message("text.wasm").ends_with("text.wasm is not a WebAssembly component"));
    assert!(message("missing.wasm").starts_with("cannot read "));
    assert_eq!(message("good.wasm"), "");
}

#[test]
fn numbers_and_chains_are_said_once() {
    let number = "[[whatsapp.numbers]]\nname = \"support\"\nphone_number_id = \"1\"\naccess_token = \"env:C\"\n";
    assert_eq!(
        problems(&format!("{GOOD}{number}")),
        [
            "error 15:8 whatsapp.numbers[1].name | `support` stands at whatsapp.numbers[0] already | give each one a name \
             of its own",
            "error 16:19 whatsapp.numbers[1].phone_number_id | `1` stands at whatsapp.numbers[0] already | give each one \
             an id of its own",
        ]
    );
    let chain = "[[chains]]\nname = \"default\"\nmatch.kinds = [\"timer\"]\nsteps = [{ plugin = \"acknowledge\" }]\n";
    assert_eq!(
        only(chain),
        "error 15:8 chains[1].name | `default` stands at chains[0] already | give each one a name of its own"
    );
}

#[test]
fn what_probably_is_not_meant_is_a_warning() {
    for (more, expected) in [
        ("[plugins.other]\nsource = \"builtin:acknowledge\"\n", "nothing uses the plugin `other`"),
        ("[credentials.x]\ntype = \"bearer\"\ntoken = \"env:X\"\n", "no grant uses the credential `x`"),
        (
            "[[chains]]\nname = \"late\"\nmatch.kinds = [\"message.text\"]\nsteps = [{ plugin = \"acknowledge\" }]\n",
            "`late` never decides: the chain `default` before it takes the same events",
        ),
        (
            "[retry]\ngive_up_after = \"10s\"\n",
            "tasks are given up after 10s, before the longest wait (5m) is ever reached",
        ),
        (
            "[plugins.acknowledge.settings]\nurl = \"https://api.example.com/v1\"\n",
            "no grant allows the plugin `acknowledge` to call api.example.com",
        ),
        (
            "[plugins.acknowledge.settings]\napi_token = \"x\"\n",
            "settings reach the plugin, and `api_token` sounds like a secret",
        ),
    ] {
        let found = only(more);
        assert!(found.starts_with("warning ") && found.contains(expected), "{found}");
        assert!(check(&format!("{GOOD}{more}")).config.is_some(), "a warning is no error");
    }
    let desk = problems(&format!("{GOOD}[desks.zendesk]\nplugin = \"acknowledge\"\n"));
    assert_eq!(desk.len(), 2, "{desk:#?}");
    assert!(desk[0].contains("may call no host") && desk[1].contains("has no secret `webhook`"), "{desk:#?}");
}

#[test]
fn the_graph_is_reached_in_the_clear_only_on_this_machine() {
    let with = |url: &str| problems(&GOOD.replace("[whatsapp]", &format!("[whatsapp]\ngraph_url = \"{url}\"")));
    assert!(with("http://127.0.0.1:9/graph").is_empty());
    assert!(with("http://localhost:9/graph").is_empty());
    assert!(with("http://graph.example.com")[0].starts_with("warning 3:13 whatsapp.graph_url"));
}

#[test]
fn grants_that_cannot_work() {
    let grant = |grant: &str| {
        let setting = "[plugins.acknowledge.settings]\nurl = \"http://api.example.com\"\n";
        let text = format!("{GOOD}{setting}[[plugins.acknowledge.grants.http]]\n{grant}\n");
        problems(&text).join("\n")
    };
    assert!(grant("host = \"api.example.com\"").contains("may call api.example.com over https:// only"));
    assert!(grant("host = \"*.example.com\"").contains("may call api.example.com over https:// only"));
    assert_eq!(grant("host = \"api.example.com\"\nplain_http = true"), "");
    assert!(grant("host = \"api.example.com\"\nplain_http = true\nports = [81]").contains("at port 80"));
    assert!(
        grant("host = \"example.com\"").contains("no grant allows the plugin `acknowledge` to call api.example.com")
    );
    assert!(grant("host = \"10.0.0.1\"").contains("error 17:8 plugins.acknowledge.grants.http[0].host"));
    assert!(grant("host = \"a.b\"\nports = [80]").contains("port 80 speaks http://"));
}

#[test]
fn rules_that_say_nothing_or_cannot_be_met() {
    for (rule, severity, expected) in [
        ("match.not = {}", "error", "`not` is empty: the chain `default` decides about nothing"),
        ("match.not.time = {}", "error", "`time` says nothing but where (UTC)"),
        ("match.time.time_zone = \"Europe/Berlin\"", "error", "`time` says nothing but where (Europe/Berlin)"),
        ("match.content = {}", "warning", "`content` says nothing"),
        ("match.content.words = [\"?!\"]", "error", "chains[0].match.content.words[0] | `?!` has no letter or digit"),
        ("match.content = { media = [\"image\"], has_media = false }", "error", "nothing is both"),
        ("match.not.channels = [\"sales\"]", "error", "chains[0].match.not.channels[0] | there is no number `sales`"),
        ("match.content.pattern = '(a'", "error", "is not a pattern: unclosed group"),
        ("match.time.between = [\"9-17\"]", "error", "write \"09:00-17:00\""),
        ("match.time.days = [\"monday\"]", "error", "does not take `monday`"),
        ("match.attributes.tier = 1", "error", "`tier` takes "),
        ("match.content = { has_media = true, word = \"x\" }", "error", "write `words`"),
    ] {
        let found = only(&format!("{rule}\n"));
        assert!(found.starts_with(severity) && found.contains(expected), "{found}");
    }
    let share = instead("plugin = \"acknowledge\"", "plugin = \"acknowledge\", share = \"20\"");
    assert!(share.contains("`20` is not a share | write \"20%\""), "{share}");
    let parks = "plugin = \"acknowledge\", on_failure = \"park\"";
    let text = GOOD.replace("plugin = \"acknowledge\"", parks);
    assert_eq!(problems(&text), Vec::<String>::new());
}

#[test]
fn a_chain_with_more_conditions_swallows_none() {
    let narrow = "match.content.words = [\"x\"]\n[[chains]]\nname = \"rest\"\nsteps = [{ plugin = \"acknowledge\" }]\n";
    assert_eq!(problems(&format!("{GOOD}{narrow}")), Vec::<String>::new());
    let shown =
        only("[[chains]]\nname = \"late\"\nmatch.content.words = [\"x\"]\nsteps = [{ plugin = \"acknowledge\" }]\n");
    assert!(shown.contains("`late` never decides"), "{shown}");
}
