//! Who may compile now: few at once, and each component once.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::limits;

/// What is being compiled.
#[derive(Debug, Default)]
pub(super) struct Gate {
    digests: Mutex<BTreeSet<String>>,
    left: Condvar,
}

/// The right to compile one component, until it is dropped.
#[derive(Debug)]
pub(super) struct Pass<'g> {
    gate: &'g Gate,
    digest: String,
}

impl Gate {
    /// Waits until there is room and nobody else compiles this component.
    pub(super) fn enter(&self, digest: &str) -> Pass<'_> {
        let blocked = |digests: &mut BTreeSet<String>| digests.len() >= limits::COMPILES || digests.contains(digest);
        let mut digests = self.left.wait_while(self.digests(), blocked).unwrap_or_else(PoisonError::into_inner);
        digests.insert(digest.to_owned());
        Pass { gate: self, digest: digest.to_owned() }
    }

    fn digests(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.gate.digests().remove(&self.digest);
        self.gate.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn two_at_once_and_each_component_once() {
        let gate = Gate::default();
        let (inside, of_one, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8_usize {
                let (gate, inside, of_one, most) = (&gate, &inside, &of_one, &most);
                scope.spawn(move || {
                    for round in 0..50 {
                        let digest = (thread + round) % 3;
                        let pass = gate.enter(&digest.to_string());
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        if digest == 0 {
                            assert_eq!(of_one.fetch_add(1, Ordering::SeqCst), 0, "compiled twice at once");
                        }
                        std::thread::yield_now();
                        if digest == 0 {
                            of_one.fetch_sub(1, Ordering::SeqCst);
                        }
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(pass);
                    }
                });
            }
        });
        assert!((1..=limits::COMPILES).contains(&most.load(Ordering::SeqCst)));
    }
}
