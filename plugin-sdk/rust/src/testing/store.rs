//! The store of a fake host: it takes what the gateway takes.

use super::Host;

/// Bytes of a key, as in the gateway.
const KEY: usize = 512;

/// Bytes of a value, as in the gateway.
const VALUE: usize = 256 * 1024;

impl Host {
    pub(crate) fn kept(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        check(key)?;
        Ok(self.state.borrow().store.get(key).cloned())
    }

    pub(crate) fn is_kept(&self, key: &str) -> Result<bool, String> {
        check(key)?;
        Ok(self.state.borrow().store.contains_key(key))
    }

    pub(crate) fn keep(&self, key: &str, value: &[u8]) -> Result<(), String> {
        check(key)?;
        if value.len() > VALUE {
            return Err(format!("the value has {} bytes; {VALUE} are the most", value.len()));
        }
        self.state.borrow_mut().store.insert(key.to_owned(), value.to_vec());
        Ok(())
    }

    pub(crate) fn forget(&self, key: &str) -> Result<(), String> {
        check(key)?;
        self.state.borrow_mut().store.remove(key);
        Ok(())
    }

    pub(crate) fn kept_keys(&self) -> Result<Vec<String>, String> {
        Ok(self.state.borrow().store.keys().cloned().collect())
    }
}

fn check(key: &str) -> Result<(), String> {
    match key.len() {
        1..=KEY => Ok(()),
        length => Err(format!("a key has 1 to {KEY} bytes, and this one has {length}")),
    }
}
