//! What happens to accounts, templates and numbers, rather than in a conversation.

/// Meta's webhook fields that become [`patchbay_model::Body::AccountNotice`], and the kind that each of them gets: what it
/// is about, then what changed. The names are Meta's (webhook reference of the WhatsApp Business Platform, September
/// 2026); both spellings of the username field have been met.
///
/// A field that is not here becomes [`patchbay_model::Body::Unknown`] under its own name.
pub const NOTICES: &[(&str, &str)] = &[
    ("account_alerts", "account-alert"),
    ("account_review_update", "account-review"),
    ("account_settings_update", "account-settings"),
    ("account_update", "account-update"),
    ("automatic_events", "automatic-event"),
    ("business_capability_update", "account-capability"),
    ("business_status_update", "account-status"),
    ("business_username_update", "phone-username"),
    ("business_username_updates", "phone-username"),
    ("flows", "flow-status"),
    ("message_template_components_update", "template-components"),
    ("message_template_quality_update", "template-quality"),
    ("message_template_status_update", "template-status"),
    ("partner_solutions", "account-partner"),
    ("payment_configuration_update", "payment-configuration"),
    ("phone_number_name_update", "phone-name"),
    ("phone_number_quality_update", "phone-quality"),
    ("security", "phone-security"),
    ("template_category_update", "template-category"),
    ("template_correct_category_detection", "template-category-detected"),
    ("tracking_events", "tracking-event"),
];

/// The kind of `value.errors[]`: problems of a number that belong to no message, such as a limit that was hit.
pub const NUMBER_ERROR: &str = "phone-error";

/// The kind of a business's refusal to share what was said before its number was connected.
pub const HISTORY_DECLINED: &str = "history-declined";

/// The kind of other problems with that.
pub const HISTORY_ERROR: &str = "history-error";

/// The kind of a part of it that holds no message: it says how far Meta has come.
pub const HISTORY_PROGRESS: &str = "history-progress";

/// The kind of a field, where it is one of [`NOTICES`].
pub(super) fn kind(field: &str) -> Option<&'static str> {
    NOTICES.iter().find(|(name, _)| *name == field).map(|(_, kind)| *kind)
}
