//! A table of a write transaction that is opened when it is used first.
//!
//! Most batches use a third of the tables, and opening one costs as much as a look-up in it.

use std::borrow::Borrow;
use std::cell::OnceCell;
use std::ops::RangeBounds;

use redb::{AccessGuard, Key, Range, ReadableTable, Table, TableError, TableHandle, Value, WriteTransaction};

use super::tables::Definition;

/// A key and its value.
type Row<'g, K, V> = (AccessGuard<'g, K>, AccessGuard<'g, V>);

/// Has the methods of the engine's [`Table`] that are needed here; each of them can also fail as opening can.
pub(super) struct Lazy<'t, K: Key + 'static, V: Value + 'static> {
    transaction: &'t WriteTransaction,
    definition: Definition<K, V>,
    table: OnceCell<Table<'t, K, V>>,
}

impl<'t, K: Key + 'static, V: Value + 'static> Lazy<'t, K, V> {
    pub(super) fn new(transaction: &'t WriteTransaction, definition: Definition<K, V>) -> Self {
        Self { transaction, definition, table: OnceCell::new() }
    }

    /// The table, which is made if it is missing.
    pub(super) fn open(&self) -> Result<&Table<'t, K, V>, TableError> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let table = self.transaction.open_table(self.definition)?;
        Ok(self.table.get_or_init(|| table))
    }

    fn open_mut(&mut self) -> Result<&mut Table<'t, K, V>, TableError> {
        self.open()?;
        // It is there: it has just been opened.
        self.table.get_mut().ok_or_else(|| TableError::TableDoesNotExist(self.definition.name().to_owned()))
    }

    pub(super) fn get<'k>(&self, key: impl Borrow<K::SelfType<'k>>) -> Result<Option<AccessGuard<'_, V>>, TableError> {
        Ok(self.open()?.get(key)?)
    }

    pub(super) fn range<'k, KR: Borrow<K::SelfType<'k>> + 'k>(
        &self,
        range: impl RangeBounds<KR> + 'k,
    ) -> Result<Range<'_, K, V>, TableError> {
        Ok(self.open()?.range(range)?)
    }

    pub(super) fn iter(&self) -> Result<Range<'_, K, V>, TableError> {
        Ok(self.open()?.iter()?)
    }

    pub(super) fn last(&self) -> Result<Option<Row<'_, K, V>>, TableError> {
        Ok(self.open()?.last()?)
    }

    pub(super) fn insert<'k, 'v>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<Option<AccessGuard<'_, V>>, TableError> {
        Ok(self.open_mut()?.insert(key, value)?)
    }

    pub(super) fn remove<'k>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<AccessGuard<'_, V>>, TableError> {
        Ok(self.open_mut()?.remove(key)?)
    }
}
