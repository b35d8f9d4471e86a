//! Lists, cut into pages in Zendesk's two ways.

use serde_json::{Map, Value, json};

use crate::zendesk::query::Query;

/// Entries of one page, unless asked for less.
const PAGE: usize = 100;

/// Sorts by age as asked for, and cuts the wanted page out. `items` come oldest first.
pub(crate) fn page(name: &str, mut items: Vec<Value>, query: &Query, url: &str) -> Value {
    let newest_first = query.get("sort").is_some_and(|sort| sort.starts_with('-'))
        || query.get("sort_order").is_some_and(|order| order.eq_ignore_ascii_case("desc"));
    if newest_first {
        items.reverse();
    }
    let count = items.len();
    let mut answer = Map::new();
    let cursor =
        query.get("page[size]").is_some() || query.get("page[after]").is_some() || query.get("page[before]").is_some();
    // A link goes on in the order that was asked for.
    let mut order = String::new();
    for key in ["sort", "sort_order"] {
        if let Some(value) = query.get(key) {
            order.extend(["&", key, "="]);
            order.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
        }
    }
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<usize>().ok());
    if cursor {
        let size = number("page[size]").unwrap_or(PAGE).clamp(1, PAGE);
        let start = match (query.get("page[after]").and_then(at), query.get("page[before]").and_then(at)) {
            (Some(after), _) => after,
            (None, Some(before)) => before.saturating_sub(size),
            (None, None) => 0,
        };
        let end = (start + size).min(count);
        answer.insert(name.into(), items.into_iter().skip(start).take(size).collect());
        let link = |key: &str, place: usize| format!("{url}?page%5B{key}%5D={place}&page%5Bsize%5D={size}{order}");
        answer.insert(
            "meta".into(),
            json!({
                "has_more": end < count, "after_cursor": (end < count).then(|| end.to_string()),
                "before_cursor": (start > 0).then(|| start.to_string()),
            }),
        );
        answer.insert(
            "links".into(),
            json!({
                "next": (end < count).then(|| link("after", end)), "prev": (start > 0).then(|| link("before", start)),
            }),
        );
    } else {
        let size = number("per_page").unwrap_or(PAGE).clamp(1, PAGE);
        let wanted = number("page").unwrap_or(1).max(1);
        let start = (wanted - 1) * size;
        let end = (start + size).min(count);
        answer.insert(name.into(), items.into_iter().skip(start).take(size).collect());
        let link = |place: usize| format!("{url}?page={place}&per_page={size}{order}");
        answer.insert("next_page".into(), json!((end < count).then(|| link(wanted + 1))));
        answer.insert("previous_page".into(), json!((wanted > 1).then(|| link(wanted - 1))));
        answer.insert("count".into(), json!(count));
    }
    Value::Object(answer)
}

fn at(cursor: &str) -> Option<usize> {
    cursor.parse().ok()
}
