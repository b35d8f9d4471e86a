//! `patchbay route`

use std::path::Path;

use clap::Args;
use owo_colors::{OwoColorize, Style};
use patchbay_model::decision::Considered;
use patchbay_model::message::MediaKind;
use patchbay_model::{Attributes, Timestamp};
use serde_json::json;

use super::ConfigArgs;
use super::explain::chain;
use super::failure::{DONE, FAILED, wrong};
use super::output::{json_lines, print};
use super::source::config;
use crate::config::{Chain, Config, Facts};

/// `patchbay route`
#[derive(Clone, Debug, Args)]
pub struct RouteArgs {
    /// Which configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// What a customer writes; `-` for nothing.
    #[arg(value_name = "TEXT")]
    pub text: String,
    /// On which channel, by the name of its number; the first one of the configuration if it is not said.
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// Which kind of event.
    #[arg(long, value_name = "KIND", default_value = "message.text")]
    pub kind: String,
    /// An attribute that the conversation has; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = attribute)]
    pub attribute: Vec<(String, String)>,
    /// The customer's phone number, digits with the country's code.
    #[arg(long, value_name = "DIGITS")]
    pub phone: Option<String>,
    /// When it is accepted, as 2026-01-31T12:00:00Z; now if it is not said.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Timestamp>,
    /// Write one JSON object: chain, considered, steps.
    #[arg(long)]
    pub json: bool,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, as tier=gold")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let moment: jiff::Timestamp = text.parse().map_err(|_| "write a time as 2026-01-31T12:00:00Z".to_owned())?;
    let millis = u64::try_from(moment.as_millisecond()).map_err(|_| "that is before 1970".to_owned())?;
    Ok(Timestamp::from_millis(millis))
}

/// Does it, and gives the exit code: 1 when no chain is for the event.
///
/// # Errors
/// When the configuration is wrong, or has no such channel.
pub fn run(args: &RouteArgs) -> anyhow::Result<u8> {
    let config = config(&args.config.config)?;
    let (considered, chosen) = try_out(args, &config, &args.config.config)?;
    let steps: Vec<&str> = chosen.iter().flat_map(|chain| &chain.steps).map(|step| step.plugin.as_str()).collect();
    if args.json {
        let name = chosen.map(|chain| &chain.name);
        json_lines([&json!({ "chain": name, "considered": considered, "steps": steps })])?;
    } else {
        let mut text: String = considered.iter().map(chain).collect();
        match chosen {
            Some(_) => {
                text.push_str(&format!("\n  {} {}\n", "asks".style(Style::new().dimmed()), steps.join(", then ")))
            }
            None => text.push_str("\n  no chain is for it: it would be kept, and nothing else done\n"),
        }
        print(&text)?;
    }
    Ok(if chosen.is_some() { DONE } else { FAILED })
}

fn try_out<'a>(
    args: &RouteArgs,
    config: &'a Config,
    file: &Path,
) -> anyhow::Result<(Vec<Considered>, Option<&'a Chain>)> {
    let names: Vec<&str> = config.whatsapp.numbers.iter().map(|number| number.name.as_str()).collect();
    let channel = match &args.channel {
        Some(channel) if !names.contains(&channel.as_str()) => {
            let known = names.join(", ");
            return Err(wrong(format!("{} has no number `{channel}`: write one of {known}", file.display())));
        }
        Some(channel) => channel.as_str(),
        None => names.first().copied().unwrap_or_default(),
    };
    let attributes: Attributes = args.attribute.iter().cloned().collect();
    let media = [
        MediaKind::Image,
        MediaKind::Video,
        MediaKind::Audio,
        MediaKind::Voice,
        MediaKind::Document,
        MediaKind::Sticker,
    ];
    let facts = Facts {
        kind: &args.kind,
        channel,
        text: (args.text != "-").then_some(args.text.as_str()),
        media: media.into_iter().find(|media| args.kind.strip_prefix("message.") == Some(media.as_str())),
        attributes: &attributes,
        phone: args.phone.as_deref(),
        at: args.at.unwrap_or_else(Timestamp::now),
    };
    let mut considered = Vec::new();
    for chain in &config.chains {
        let passed_over = chain.matches.judge(&facts).err();
        let fits = passed_over.is_none();
        considered.push(Considered { chain: chain.name.clone(), passed_over });
        if fits {
            return Ok((considered, Some(chain)));
        }
    }
    Ok((considered, None))
}
