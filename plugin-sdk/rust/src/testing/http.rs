//! Requests that a test expects, and what they are answered.

use std::collections::VecDeque;

use serde_json::Value;

use crate::Period;
use crate::http::Answer;

/// Expected requests in their order, each with its answer.
#[derive(Debug, Default)]
pub struct FakeHttp {
    expected: VecDeque<(Expected, Result<Scripted, String>)>,
    recorded: Vec<Recorded>,
}

#[derive(Debug)]
struct Expected {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    json: Option<Value>,
}

#[derive(Debug)]
struct Scripted {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A request that was made.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// The headers that the plugin set.
    pub headers: Vec<(String, String)>,
    /// The body; of an upload, with the media in it.
    pub body: Vec<u8>,
    /// How long it may take, if the plugin said so.
    pub timeout: Option<Period>,
}

impl Recorded {
    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A header's value, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The URL after the host; without the query, unless that is asked for.
    fn path(&self, with_query: bool) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
        if with_query { path } else { path.split('?').next().unwrap_or(path) }
    }
}

/// A request that is expected, until its answer is given.
#[derive(Debug)]
#[must_use = "say what it is answered"]
pub struct Expectation {
    http: FakeHttp,
    expected: Expected,
}

impl FakeHttp {
    /// Expects nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Expects this request next. The path may have a query, which is compared then.
    pub fn expect(self, method: &str, path: &str) -> Expectation {
        let expected = Expected { method: method.into(), path: path.into(), headers: Vec::new(), json: None };
        Expectation { http: self, expected }
    }

    pub(super) fn recorded(&self) -> &[Recorded] {
        &self.recorded
    }

    #[expect(clippy::panic, reason = "a test stops at the first surprise")]
    pub(super) fn send(&mut self, request: Recorded) -> Result<Answer, String> {
        let Recorded { method, url, .. } = &request;
        let Some((expected, answer)) = self.expected.pop_front() else {
            panic!("{method} {url} was not expected");
        };
        let path = request.path(expected.path.contains('?'));
        assert!(
            (method, path) == (&expected.method, expected.path.as_str()),
            "{method} {url} was not expected: {} {} was",
            expected.method,
            expected.path
        );
        for (name, value) in &expected.headers {
            assert_eq!(request.header(name), Some(value.as_str()), "header {name} of {method} {url}");
        }
        if let Some(json) = &expected.json {
            let body = request.json();
            assert!(contains(&body, json), "the body of {method} {url} is\n{body:#}\nand does not contain\n{json:#}");
        }
        self.recorded.push(request);
        answer.map(|answer| Answer { status: answer.status, headers: answer.headers, body: answer.body })
    }

    #[expect(clippy::panic, reason = "a test stops at the first surprise")]
    pub(super) fn finish(&self) {
        if let Some((expected, _)) = self.expected.front() {
            panic!("expected {} {}, and it did not come", expected.method, expected.path);
        }
    }
}

impl Expectation {
    /// With this header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.expected.headers.push((name.into(), value.into()));
        self
    }

    /// With a JSON body that has at least these members, at any depth. An expected null is a member that is null or
    /// not there.
    pub fn json(mut self, json: Value) -> Self {
        self.expected.json = Some(json);
        self
    }

    /// Is answered with this status and JSON.
    #[must_use]
    pub fn answer(self, status: u16, json: Value) -> FakeHttp {
        self.answer_with(status, &[("content-type", "application/json")], json.to_string())
    }

    /// Is answered with this status, these headers and this body.
    #[must_use]
    pub fn answer_with(mut self, status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> FakeHttp {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self.http.expected.push_back((self.expected, Ok(Scripted { status, headers, body: body.into() })));
        self.http
    }

    /// Breaks off without an answer, for this reason.
    #[must_use]
    pub fn break_off(mut self, why: &str) -> FakeHttp {
        self.http.expected.push_back((self.expected, Err(why.into())));
        self.http
    }
}

/// Whether `whole` has at least what `part` has.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| contains(whole.get(key).unwrap_or(&Value::Null), part))
        }
        (whole, part) => whole == part,
    }
}
