//! Which business numbers are ours.

use std::collections::{HashMap, HashSet};

use patchbay_model::Channel;

/// The account that the test button of Meta's dashboard writes into its samples.
const TEST_ACCOUNT: &str = "0";

/// The business numbers that are ours, by phone number id.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    by_number: HashMap<String, Channel>,
    /// The business accounts that they belong to. `None`: of one number at least it is not known.
    accounts: Option<HashSet<String>>,
}

impl Channels {
    /// By [`Channel::address`], the phone number id. Of two with the same one the later counts.
    #[must_use]
    pub fn new(channels: impl IntoIterator<Item = Channel>) -> Self {
        let by_number: HashMap<_, _> = channels.into_iter().map(|channel| (channel.address.clone(), channel)).collect();
        let known = |channel: &Channel| (!channel.account.is_empty()).then(|| channel.account.clone());
        let accounts: Option<HashSet<_>> = by_number.values().map(known).collect();
        Self { by_number, accounts: accounts.filter(|accounts| !accounts.is_empty()) }
    }

    /// The channel of a phone number id.
    #[must_use]
    pub fn get(&self, phone_number_id: &str) -> Option<&Channel> {
        self.by_number.get(phone_number_id)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.by_number.values()
    }

    /// Whether what happens to a business account, rather than to a number, can be our business. Only where the account
    /// of every number is configured can an account be told to be somebody else's.
    pub(super) fn may_be_of(&self, account: &str) -> bool {
        account != TEST_ACCOUNT
            && (account.is_empty() || self.accounts.as_ref().is_none_or(|accounts| accounts.contains(account)))
    }
}

/// Where things go that belong to no number of ours: WhatsApp itself, or one of its business accounts.
pub(super) fn of_account(account: &str) -> Channel {
    Channel { id: "whatsapp".into(), platform: "whatsapp".into(), account: account.into(), address: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(address: &str, account: &str) -> Channel {
        Channel { address: address.into(), ..of_account(account) }
    }

    #[test]
    fn an_account_is_somebody_elses_only_where_all_of_ours_are_known() {
        let known = Channels::new([number("1", "a"), number("2", "b")]);
        let partly = Channels::new([number("1", "a"), number("2", "")]);
        for (account, of_known, of_partly) in
            [("a", true, true), ("c", false, true), ("", true, true), (TEST_ACCOUNT, false, false)]
        {
            assert_eq!(known.may_be_of(account), of_known, "{account}");
            assert_eq!(partly.may_be_of(account), of_partly, "{account}");
            assert_eq!(Channels::default().may_be_of(account), of_partly, "{account}");
        }
    }
}
