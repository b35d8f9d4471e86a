//! The example file, and the schema that is printed.

use super::*;

const EXAMPLE: &str = include_str!("../../../../../patchbay.example.toml");

#[test]
fn the_example_is_in_order_and_of_the_published_schema() {
    let example = Config::from_toml("x", EXAMPLE.to_owned(), Path::new("."), Secrets::Required(&every_variable));
    assert!(example.problems.is_empty(), "{}", example.problems);
    let schema = jsonschema::validator_for(&schema::published()).unwrap();
    let value: Value = toml::from_str(EXAMPLE).unwrap();
    let errors: Vec<String> =
        schema.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_example_says_every_default_as_it_is() {
    // The keys that are commented out, put back in, change nothing.
    let shown = |line: &str| {
        line.strip_prefix("# ").filter(|line| line.contains(" = ") && !line.contains("  ")).map(str::to_owned)
    };
    let skipped = ["rate_per_minute", "memory", "cpu", "path"];
    let line = |line: &str| {
        let default = shown(line).filter(|line| !skipped.iter().any(|key| line.starts_with(key)));
        default.unwrap_or_else(|| line.to_owned()) + "\n"
    };
    let full: String = EXAMPLE.lines().map(line).collect();
    assert!(full.contains("\nfactor = 2.0\n") && full.contains("\nmedia_wait = \"60s\"\n"));
    let full = Config::from_toml("x", full, Path::new("."), Secrets::Unseen);
    assert!(full.problems.is_empty(), "{}", full.problems);
    let plain = Config::from_toml("x", EXAMPLE.to_owned(), Path::new("."), Secrets::Unseen);
    assert_eq!(format!("{:?}", full.config.unwrap()), format!("{:?}", plain.config.unwrap()));
}

#[test]
fn the_schema_refuses_what_check_refuses() {
    let schema = jsonschema::validator_for(&schema::published()).unwrap();
    for (old, new) in [
        ("env:A", "hunter2"),
        ("name = \"support\"", "name = \"Front Desk\""),
        ("phone_number_id = \"1\"", "phone_number_id = \"+1\""),
        ("verify_token", "verify_tokn"),
        ("builtin:acknowledge", "acknowledge"),
        ("plugin = \"acknowledge\"", "plugin = \"acknowledge\", timeout = \"soon\""),
        ("plugin = \"acknowledge\"", "plugin = \"acknowledge\", on_failure = \"panic\""),
        ("plugin = \"acknowledge\"", "plugin = \"acknowledge\", share = \"half\""),
        ("name = \"default\"", "name = \"default\"\nmatch.time.between = [\"9-17\"]"),
        ("name = \"default\"", "name = \"default\"\nmatch.attributes.tier = 1"),
        ("[plugins.acknowledge]", "[plugins.Acknowledge]"),
        ("[whatsapp]", "[store.redis]\naddresses = [\"redis\"]\n[whatsapp]"),
    ] {
        let text = GOOD.replace(old, new);
        assert!(check(&text).problems.errors() > 0, "{new}");
        assert!(!schema.is_valid(&toml::from_str::<Value>(&text).unwrap()), "{new}");
    }
    assert!(schema.is_valid(&toml::from_str::<Value>(GOOD).unwrap()));
}

#[test]
fn every_form_in_the_schema_is_known() {
    fn marks(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Array(items) => items.iter().for_each(|item| marks(item, found)),
            Value::Object(object) => {
                let mark = ["x-form", "x-names"].into_iter().filter_map(|mark| object.get(mark)?.as_str());
                found.extend(mark.map(str::to_owned));
                object.values().for_each(|inner| marks(inner, found));
            }
            _ => {}
        }
    }
    let mut used = Vec::new();
    marks(&schema::described(), &mut used);
    for form in &forms::FORMS {
        assert!(used.iter().any(|used| used == form.name), "{} is used nowhere", form.name);
    }
    assert!(used.iter().all(|used| forms::form(used).is_some()), "{used:?}");
    assert!(!schema::published().to_string().contains("\"x-"), "our marks are not published");
}

proptest::proptest! {
    /// Whatever is typed into a file while it is being edited: every problem has a place in it, and nothing panics.
    #[test]
    fn a_file_half_typed_is_checked_like_any_other(
        start in 0..EXAMPLE.len(),
        length in 0..40_usize,
        typed in "[a-z0-9\\[\\]{}=\"'.,ü\\n #-]{0,12}",
    ) {
        let boundary = |at: usize| (at..=EXAMPLE.len()).find(|at| EXAMPLE.is_char_boundary(*at)).unwrap();
        let (from, to) = (boundary(start), boundary((start + length).min(EXAMPLE.len())));
        let text = format!("{}{typed}{}", &EXAMPLE[..from], &EXAMPLE[to..]);
        let lines = text.split('\n').count();
        let checked = Config::from_toml("x", text, Path::new("/nowhere"), Secrets::Unseen);
        for problem in checked.problems.as_slice() {
            proptest::prop_assert!(problem.line <= lines && !problem.message.is_empty());
        }
        proptest::prop_assert_eq!(checked.config.is_none(), checked.problems.errors() > 0);
        proptest::prop_assert_eq!(checked.problems.to_string().is_empty(), checked.problems.is_empty());
    }
}
