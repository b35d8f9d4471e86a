//! What a plugin remembers beyond a call.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;
use crate::host::Host;

/// Keys and values of this plugin's own, from [`Context::store`](crate::Context::store).
///
/// What a call writes, it reads back at once. What a handler writes is kept in the one write that ends the event, or not at
/// all: an event that is asked about again, after a failure or a crash, has kept nothing. A value that was read and then
/// written has not been written by anybody else in between; otherwise the event is asked about again. So `n + 1` counts.
///
/// What a desk or an inspector writes is kept when the call has answered without a failure, all of it together; the call may
/// be made again after that, and of two calls at the same time the later write stays. A rehearsal (a shadow run, a test)
/// leaves nothing. A key has 1 to 512 bytes, a value 256 KiB at the most, and a call may write 256 keys.
#[derive(Clone, Copy, Debug)]
pub struct Store<'a> {
    host: &'a Host,
}

impl<'a> Store<'a> {
    pub(crate) const fn new(host: &'a Host) -> Self {
        Self { host }
    }

    /// The value of a key; none if it is not there.
    ///
    /// # Errors
    /// [`Failure::Retry`] if it cannot be read now.
    pub fn get(self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        self.host.kept(key).map_err(unread)
    }

    /// Whether there is a value for a key.
    ///
    /// # Errors
    /// [`Failure::Retry`] if it cannot be read now.
    pub fn exists(self, key: &str) -> Result<bool, Failure> {
        self.host.is_kept(key).map_err(unread)
    }

    /// All keys, in their order.
    ///
    /// # Errors
    /// [`Failure::Retry`] if they cannot be read now.
    pub fn keys(self) -> Result<Vec<String>, Failure> {
        self.host.kept_keys().map_err(unread)
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// [`Failure::Permanent`] if it is more than the host takes, or than the operator granted beside what is kept: trying
    /// again does not make it less.
    pub fn set(self, key: &str, value: impl AsRef<[u8]>) -> Result<(), Failure> {
        self.host.keep(key, value.as_ref()).map_err(unwritten)
    }

    /// Removes a key. If it is not there, nothing happens.
    ///
    /// # Errors
    /// As of [`set`](Self::set).
    pub fn delete(self, key: &str) -> Result<(), Failure> {
        self.host.forget(key).map_err(unwritten)
    }

    /// The value of a key, read from JSON; none if it is not there.
    ///
    /// # Errors
    /// [`Failure::Retry`] if it cannot be read now, [`Failure::Permanent`] if it is not of this type.
    pub fn get_json<T: DeserializeOwned>(self, key: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.get(key)? else { return Ok(None) };
        let parsed = serde_json::from_slice(&value);
        parsed
            .map(Some)
            .map_err(|error| Failure::permanent(format!("store: a value is not what was expected: {error}")))
    }

    /// Sets the value of a key, as JSON.
    ///
    /// # Errors
    /// As of [`set`](Self::set); also if the value cannot be written as JSON.
    pub fn set_json<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Result<(), Failure> {
        let json = serde_json::to_vec(value).map_err(|error| Failure::permanent(format!("store: {error}")))?;
        self.set(key, json)
    }
}

/// A sentence without the key: a plugin may have made it of a phone number.
fn unread(why: String) -> Failure {
    Failure::retry(format!("store: {why}"))
}

fn unwritten(why: String) -> Failure {
    Failure::permanent(format!("store: {why}"))
}

#[cfg(test)]
mod tests {
    use crate::Failure;
    use crate::testing::FakeHost;

    #[test]
    fn what_is_written_is_read_back() {
        let host = FakeHost::new().stored("seen/ev_1", "1");
        let cx = host.context();
        let store = cx.store();
        assert_eq!(store.get("seen/ev_1").unwrap().as_deref(), Some(b"1".as_slice()));
        assert_eq!(store.get("seen/ev_2").unwrap(), None);
        store.set_json("orders", &[7, 8]).unwrap();
        assert_eq!(store.get_json::<Vec<u32>>("orders").unwrap(), Some(vec![7, 8]));
        assert!(matches!(store.get_json::<String>("orders"), Err(Failure::Permanent(_))));
        assert_eq!(store.keys().unwrap(), ["orders", "seen/ev_1"]);
        store.delete("seen/ev_1").unwrap();
        assert!(!store.exists("seen/ev_1").unwrap() && store.exists("orders").unwrap());
        assert_eq!(host.store().into_keys().collect::<Vec<_>>(), ["orders"]);
    }

    #[test]
    fn what_the_host_does_not_take_is_never_worth_another_try() {
        let cx = FakeHost::new().context();
        for (key, value) in [("", 1), (&"k".repeat(513), 1), ("key", 256 * 1024 + 1)] {
            assert!(matches!(cx.store().set(key, vec![0; value]), Err(Failure::Permanent(_))), "{value}");
        }
    }
}
