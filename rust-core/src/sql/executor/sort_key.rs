//! Normalised sort keys of a batch's rows: their byte order is the ORDER BY.

use crate::batch::batch::Batch;
use crate::batch::column::Column;
use crate::batch::order::{SortOrder, encode_row_key};
use crate::common::sync::Arc;
use crate::error::Result;
use crate::sql::evaluate::columns;
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::plan::expression::SortKey;

/// The key columns of one batch.
pub(super) struct KeyColumns {
    columns: Vec<Arc<Column>>,
    orders: Vec<SortOrder>,
}

impl KeyColumns {
    /// Evaluates the keys for the selected rows.
    pub(super) fn new(
        keys: &[SortKey],
        batch: &Batch,
        context: &EvaluationContext<'_>,
    ) -> Result<KeyColumns> {
        let columns = keys
            .iter()
            .map(|key| columns::evaluate(&key.expression, batch, context))
            .collect::<Result<Vec<_>>>()?;
        let orders = keys
            .iter()
            .map(|key| SortOrder { descending: key.descending, nulls_first: key.nulls_first })
            .collect();
        Ok(KeyColumns { columns, orders })
    }

    /// Calls `take` with each selected row's number and key.
    pub(super) fn for_each(
        &self,
        batch: &Batch,
        mut take: impl FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let columns: Vec<&Column> = self.columns.iter().map(Arc::as_ref).collect();
        let mut key = Vec::with_capacity(64);
        for row in batch.row_numbers() {
            key.clear();
            encode_row_key(&columns, row, &self.orders, &mut key);
            take(row, &key)?;
        }
        Ok(())
    }
}
