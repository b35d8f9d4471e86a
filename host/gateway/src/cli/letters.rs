//! `patchbay dead-letters …`

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::args::{
    LettersCommand, LettersDropArgs, LettersEditArgs, LettersListArgs, LettersRetryArgs, LettersShowArgs,
};
use super::client::Client;
use super::failure::{DONE, FAILED, failed, wrong};
use super::output::{confirm, count, json_lines, print, table, text_of};
use super::source::{Source, plain};
use crate::http::api::LARGEST_LIMIT;
use crate::http::api::letters::{LettersQuery, effect};

/// How long the command waits for its orders to be carried out; they are, later at the latest.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Does it, and gives the exit code.
///
/// # Errors
/// When it does not work; the error says what to type next.
pub async fn run(command: LettersCommand) -> anyhow::Result<u8> {
    match command {
        LettersCommand::List(args) => list(args).await,
        LettersCommand::Show(args) => show(args).await,
        LettersCommand::Edit(args) => edit(args).await,
        LettersCommand::Retry(args) => retry(args).await,
        LettersCommand::Drop(args) => drop_letters(args).await,
    }
}

async fn list(args: LettersListArgs) -> anyhow::Result<u8> {
    let source = Source::open(&args.source).await?;
    let query = LettersQuery { lane: args.lane, limit: usize::try_from(args.limit).ok() };
    let letters = source.letters(&query).await?;
    source.close().await;
    if args.json {
        json_lines(&letters)?;
    } else if letters.is_empty() {
        anstream::eprintln!("no dead letters");
    } else {
        let keys = ["died_at", "task", "lane", "effect", "attempts", "reason"];
        let rows: Vec<Vec<String>> =
            letters.iter().map(|letter| keys.iter().map(|key| text_of(letter, key)).collect()).collect();
        print(&table(&["DIED AT", "TASK", "LANE", "EFFECT", "TRIES", "REASON"], &rows))?;
    }
    Ok(DONE)
}

async fn show(args: LettersShowArgs) -> anyhow::Result<u8> {
    let source = Source::open(&args.source).await?;
    let letter = source.letter(&args.task).await?.ok_or_else(|| no_such(&args.task))?;
    source.close().await;
    if args.json {
        json_lines([&letter])?;
        return Ok(DONE);
    }
    let keys = ["task", "lane", "conversation", "event", "attempts", "created_at", "died_at", "reason", "last_error"];
    let mut text = String::new();
    for key in keys {
        let value = text_of(&letter, key);
        if !value.is_empty() {
            text.push_str(&format!("{:<14}{value}\n", key.replace('_', " ")));
        }
    }
    text.push_str(&format!("effect\n{}\n", pretty(letter.get("effect"))?));
    print(&text)?;
    Ok(DONE)
}

async fn edit(args: LettersEditArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    let path = format!("/v1/dead-letters/{}", plain(&args.task)?);
    let letter = client.find(&path).await?.ok_or_else(|| no_such(&args.task))?;
    let before = letter.get("effect").cloned().unwrap_or_default();
    let kind = text_of(&letter, "kind");
    let draft = match &args.file {
        Some(file) => Draft::read(file)?,
        None => Draft::write(&args.task, &pretty(Some(&before))?)?,
    };
    let after = match effect(&draft.text, &kind) {
        Ok(effect) => serde_json::to_value(&effect)?,
        Err(reason) => return Err(draft.kept(wrong(reason))),
    };
    let changes = changes(&before, &after);
    if changes.is_empty() {
        anstream::eprintln!("nothing has changed");
        return Ok(DONE);
    }
    print(&changes.join(""))?;
    let ordered = client.order(&format!("{path}/edit"), &json!({ "effect": after })).await;
    ordered.map_err(|error| draft.kept(error))?.ok_or_else(|| no_such(&args.task))?;
    let until = Instant::now() + PATIENCE;
    loop {
        let letter = client.find(&path).await?;
        if letter.is_none_or(|letter| letter.get("effect") == Some(&after)) {
            anstream::eprintln!("{} is changed; try it with: patchbay dead-letters retry {0}", args.task);
            return Ok(DONE);
        }
        if Instant::now() >= until {
            return Err(waiting(1));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// An effect as a person has left it.
struct Draft {
    text: String,
    /// The file that was edited, where it is ours.
    file: Option<tempfile::NamedTempFile>,
}

impl Draft {
    fn read(file: &Path) -> anyhow::Result<Self> {
        let text = if file == Path::new("-") {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(file)
        };
        let text = text.map_err(|error| wrong(format!("cannot read {}: {error}", file.display())))?;
        Ok(Self { text, file: None })
    }

    /// Asks the editor.
    fn write(task: &str, text: &str) -> anyhow::Result<Self> {
        let editor =
            ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|set| !set.is_empty()));
        let editor = match editor {
            Some(editor) => editor,
            None if std::io::stdin().is_terminal() => "vi".to_owned(),
            None => return Err(wrong("there is no terminal to edit on: give the new effect with --file FILE, or `-`")),
        };
        // Only its owner may read it: it holds what a customer wrote.
        let file = tempfile::Builder::new().prefix(&format!("{task}-")).suffix(".json").tempfile();
        let file = file.context("cannot make a file to edit")?;
        std::fs::write(file.path(), format!("{text}\n")).context("cannot write the file to edit")?;
        // As git does it: the variable may hold words after the command.
        let status = std::process::Command::new("sh")
            .args(["-c", &format!("{editor} \"$1\""), "patchbay"])
            .arg(file.path())
            .status()
            .with_context(|| format!("cannot start the editor `{editor}`"))?;
        if !status.success() {
            return Err(failed(format!("the editor `{editor}` ended with {status}; nothing was changed")));
        }
        let text = std::fs::read_to_string(file.path()).context("cannot read the edited file")?;
        Ok(Self { text, file: Some(file) })
    }

    /// Says where the text is, so that nothing has to be written twice.
    fn kept(self, error: anyhow::Error) -> anyhow::Error {
        if let Some(Ok((_, path))) = self.file.map(tempfile::NamedTempFile::keep) {
            anstream::eprintln!("your text is in {}; go on with --file, and remove it then", path.display());
        }
        error
    }
}

async fn retry(args: LettersRetryArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    let tasks = if args.all {
        let source = Source::Gateway(Client::new(&args.gateway)?);
        let query = LettersQuery { lane: args.lane, limit: Some(LARGEST_LIMIT) };
        source.letters(&query).await?.iter().map(|letter| text_of(letter, "task")).collect()
    } else {
        args.tasks
    };
    if tasks.is_empty() {
        anstream::eprintln!("no dead letters");
        return Ok(DONE);
    }
    carry_out(&client, Order { verb: "retry", done: "back in its lane", json: args.json }, tasks).await
}

async fn drop_letters(args: LettersDropArgs) -> anyhow::Result<u8> {
    let client = Client::new(&args.gateway)?;
    for task in &args.tasks {
        plain(task)?;
    }
    let letters = count(args.tasks.len() as u64, "dead letter", "dead letters");
    if !confirm(&format!("Give {letters} up for good? What was to be done is never done then."), args.yes)? {
        anstream::eprintln!("nothing was dropped");
        return Ok(FAILED);
    }
    carry_out(&client, Order { verb: "drop", done: "dropped", json: args.json }, args.tasks).await
}

/// What is ordered about letters that go away by it.
#[derive(Clone, Copy)]
struct Order {
    verb: &'static str,
    /// What is said of a letter that has gone away.
    done: &'static str,
    json: bool,
}

impl Order {
    fn say(self, task: &str, outcome: &str, reason: &str) -> anyhow::Result<()> {
        if self.json {
            return json_lines([&json!({ "task": task, "outcome": outcome, "reason": reason })]);
        }
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        print(&format!("{task}  {outcome}{reason}\n"))
    }
}

/// Orders it for all of them, and waits for what becomes of each.
async fn carry_out(client: &Client, order: Order, tasks: Vec<String>) -> anyhow::Result<u8> {
    let mut open = Vec::new();
    let mut code = DONE;
    for task in tasks {
        let path = format!("/v1/dead-letters/{}", plain(&task)?);
        let letter = client.find(&path).await?;
        let ordered = match &letter {
            Some(_) => client.order(&format!("{path}/{}", order.verb), &Value::Null).await?,
            None => None,
        };
        match (letter, ordered) {
            (Some(letter), Some(_)) => open.push((task, path, text_of(&letter, "died_at"))),
            _ => {
                order.say(&task, "no such dead letter", "")?;
                code = FAILED;
            }
        }
    }
    let until = Instant::now() + PATIENCE;
    while !open.is_empty() {
        let mut waiting_still = Vec::new();
        for (task, path, died_at) in open {
            match client.find(&path).await? {
                None => order.say(&task, order.done, "")?,
                Some(letter) if text_of(&letter, "died_at") != died_at => {
                    order.say(&task, "died again", &text_of(&letter, "reason"))?;
                    code = FAILED;
                }
                Some(_) => waiting_still.push((task, path, died_at)),
            }
        }
        open = waiting_still;
        if !open.is_empty() && Instant::now() >= until {
            for (task, ..) in &open {
                order.say(task, "ordered", "not carried out yet")?;
            }
            return Err(waiting(open.len() as u64));
        }
        if !open.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(code)
}

fn waiting(orders: u64) -> anyhow::Error {
    let orders = count(orders, "order stands", "orders stand");
    failed(format!(
        "{orders} in the journal and will be carried out in turn; `patchbay journal list --pending` shows what is before"
    ))
}

fn no_such(task: &str) -> anyhow::Error {
    failed(format!("there is no dead letter {task}; `patchbay dead-letters list` shows those that there are"))
}

fn pretty(value: Option<&Value>) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value.unwrap_or(&Value::Null))?)
}

/// What differs between two values, a line or two for each place.
fn changes(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differ("", Some(before), Some(after), &mut found);
    found
}

fn differ(place: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<String>) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|key| !before.contains_key(*key));
            for key in before.keys().chain(added) {
                differ(&format!("{place}/{key}"), before.get(key), after.get(key), found);
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                differ(&format!("{place}/{index}"), before.get(index), after.get(index), found);
            }
        }
        (before, after) => {
            let style = |colour: owo_colors::Style, sign: &str, value: &Value| {
                let line = format!("{sign} {place}: {value}");
                format!("{}\n", owo_colors::OwoColorize::style(&line, colour))
            };
            found.extend(before.map(|value| style(owo_colors::Style::new().red(), "-", value)));
            found.extend(after.map(|value| style(owo_colors::Style::new().green(), "+", value)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_shown_by_its_place() {
        let before = json!({ "type": "send", "to": [{ "phone": "1" }], "message": { "text": "a" } });
        let after = json!({ "type": "send", "to": [{ "phone": "1" }, { "phone": "2" }], "message": { "text": "b" } });
        let text = anstream::adapter::strip_str(&changes(&before, &after).join("")).to_string();
        assert_eq!(text, "- /message/text: \"a\"\n+ /message/text: \"b\"\n+ /to/1: {\"phone\":\"2\"}\n");
        assert!(changes(&before, &before).is_empty());
    }
}
