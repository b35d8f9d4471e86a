//! Queues by key, each worked off by one worker at a time: how order is kept within a conversation and nowhere else.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Queues by key. A key is present exactly while a worker is busy with it.
#[derive(Debug)]
pub struct KeyedQueues<K, T> {
    queues: Mutex<HashMap<K, VecDeque<T>>>,
}

impl<K, T> Default for KeyedQueues<K, T> {
    fn default() -> Self {
        Self { queues: Mutex::new(HashMap::new()) }
    }
}

impl<K: Eq + Hash, T> KeyedQueues<K, T> {
    /// Adds an item behind the others of its key. `true`: nobody works on this key, the caller has to start a worker.
    #[must_use]
    pub fn push(&self, key: K, item: T) -> bool {
        match self.lock().entry(key) {
            Entry::Occupied(mut queue) => {
                queue.get_mut().push_back(item);
                false
            }
            Entry::Vacant(place) => {
                place.insert(VecDeque::from([item]));
                true
            }
        }
    }

    /// The next item of a key, for its worker. None: there is no more, and the worker has to end.
    pub fn take(&self, key: &K) -> Option<T> {
        let mut queues = self.lock();
        let next = queues.get_mut(key).and_then(VecDeque::pop_front);
        if next.is_none() {
            queues.remove(key);
        }
        next
    }

    /// Forgets what waits under a key: it is in the store, and somebody else goes on with it.
    pub fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, VecDeque<T>>> {
        // A panic in a worker leaves the queues whole: every change to them is a single step.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_a_key_and_first_in_first_out() {
        let queues = KeyedQueues::default();
        assert!(queues.push("a", 1));
        assert!(!queues.push("a", 2));
        assert!(queues.push("b", 3));
        assert_eq!((queues.take(&"a"), queues.take(&"a"), queues.take(&"a")), (Some(1), Some(2), None));
        assert!(queues.push("a", 4), "after the worker was told to end, the next item needs a new one");
        queues.forget(&"b");
        assert_eq!(queues.take(&"b"), None);
    }
}
