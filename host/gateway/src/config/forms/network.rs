//! Forms of addresses and of what is said in HTTP.

use std::net::SocketAddr;
use std::str::FromStr;

use url::Url;

use super::{Refusal, refuse};

pub(super) fn listen(text: &str, _: &str) -> Result<(), Refusal> {
    if SocketAddr::from_str(text).is_ok() {
        return Ok(());
    }
    let meant = match text.rsplit_once(':') {
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        Some(("" | "*", port)) => format!("0.0.0.0:{port}"),
        None if text.parse::<u16>().is_ok() => format!("0.0.0.0:{text}"),
        None if text.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_ipv4()) => format!("{text}:8080"),
        _ => String::new(),
    };
    let meant = if SocketAddr::from_str(&meant).is_ok() { meant } else { "0.0.0.0:8080".into() };
    refuse(format!("`{text}` is not an address with a port"), format!("write \"{meant}\""))
}

/// A host, by name or by number, and a port.
pub(super) fn address(text: &str, _: &str) -> Result<(), Refusal> {
    let fix = |meant: &str| format!("write the host and the port, for example \"{meant}\"");
    if let Some((_, rest)) = text.split_once("://") {
        // A user name or password can stand in front of the host.
        let secret = rest.contains('@');
        let meant = rest.split(['/', '?']).next().filter(|meant| !secret && is_address(meant));
        let meant = meant.unwrap_or("redis.example.com:6379");
        let message = "this is a URL, not an address; TLS, the user and the database have keys of their own".to_owned();
        return Err(Refusal { message, fix: fix(meant), secret });
    }
    if is_address(text) {
        return Ok(());
    }
    let with_port = format!("{text}:6379");
    let meant = if is_address(&with_port) { with_port.as_str() } else { "redis.example.com:6379" };
    refuse(format!("`{text}` is not a host with a port"), fix(meant))
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_is = match inner {
        Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(known),
    };
    host_is && port.parse::<u16>().is_ok_and(|port| port > 0)
}

pub(super) fn url(text: &str, _: &str) -> Result<(), Refusal> {
    let fix = "write \"https://HOST\", without a user name, query or fragment".to_owned();
    let Ok(url) = Url::parse(text) else { return refuse(format!("`{text}` is not a URL"), fix) };
    if !url.username().is_empty() || url.password().is_some() {
        let message = "a URL with a user name or password".to_owned();
        return Err(Refusal { message, fix, secret: true });
    }
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return refuse(format!("`{text}` is not a plain http or https URL"), fix);
    }
    Ok(())
}

pub(super) fn host(text: &str, _: &str) -> Result<(), Refusal> {
    let fix = |meant: &str| {
        format!("write only the host name, for example \"{meant}\"; ports, paths and plain_http have keys of their own")
    };
    if let Some((_, rest)) = text.split_once("://") {
        let meant = rest.split(['/', ':', '?']).next().unwrap_or_default();
        // A user name or password can stand in front of the host.
        let secret = meant.contains('@') || rest.contains('@');
        let meant = if secret || meant.is_empty() { "api.example.com" } else { meant };
        return Err(Refusal { message: "this is a URL, not a host".into(), fix: fix(meant), secret });
    }
    let bare = text.strip_prefix("*.").unwrap_or(text);
    let literal = bare.trim_start_matches('[').trim_end_matches(']').parse::<std::net::Ipv6Addr>().is_ok();
    let label = |label: &str| {
        let known = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        known && !label.is_empty() && label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-')
    };
    if (literal && bare == text) || bare.trim_end_matches('.').split('.').all(label) {
        return Ok(());
    }
    let meant = bare.split(['/', ':']).next().filter(|meant| meant.split('.').all(label)).unwrap_or("api.example.com");
    refuse(format!("`{text}` is not a host name"), fix(meant))
}

pub(super) fn method(text: &str, _: &str) -> Result<(), Refusal> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(());
    }
    let upper = text.to_ascii_uppercase();
    let meant = if upper.bytes().all(|byte| byte.is_ascii_uppercase()) && !upper.is_empty() { &upper } else { "POST" };
    refuse(format!("`{text}` is not an HTTP method"), format!("write \"{meant}\""))
}

pub(super) fn path_prefix(text: &str, _: &str) -> Result<(), Refusal> {
    if text.starts_with('/') && !text.contains(['?', '#', '*']) {
        return Ok(());
    }
    let meant = text.trim_start_matches('/').split(['?', '#', '*']).next().unwrap_or_default();
    refuse(
        format!("`{text}` is not the beginning of a path"),
        format!("write \"/{meant}\": it begins with / and has no ?, # or *"),
    )
}

pub(super) fn header_name(text: &str, _: &str) -> Result<(), Refusal> {
    let fix = "write the header that the service documents, for example \"X-Api-Key\"".to_owned();
    let Ok(header) = http::HeaderName::from_str(text) else {
        return refuse(format!("`{text}` is not the name of a header"), fix);
    };
    // The host sets these itself; a credential in them would break the request.
    let own = ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"];
    if own.contains(&header.as_str()) {
        return refuse(format!("`{text}` is a header that HTTP needs for itself"), fix);
    }
    Ok(())
}
