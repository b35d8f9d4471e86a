//! Which business numbers are ours.

use std::collections::HashMap;

use patchbay_model::Channel;

/// The business numbers that are ours, by phone number id.
#[derive(Clone, Debug, Default)]
pub struct Channels(HashMap<String, Channel>);

impl Channels {
    /// By [`Channel::address`], the phone number id. Of two with the same one the later counts.
    #[must_use]
    pub fn new(channels: impl IntoIterator<Item = Channel>) -> Self {
        Self(channels.into_iter().map(|channel| (channel.address.clone(), channel)).collect())
    }

    /// The channel of a phone number id.
    #[must_use]
    pub fn get(&self, phone_number_id: &str) -> Option<&Channel> {
        self.0.get(phone_number_id)
    }
}

/// Where things go that belong to no number of ours: WhatsApp itself, or one of its business accounts.
pub(super) fn of_account(account: &str) -> Channel {
    Channel { id: "whatsapp".into(), platform: "whatsapp".into(), account: account.into(), address: String::new() }
}
