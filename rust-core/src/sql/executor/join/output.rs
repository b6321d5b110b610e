//! What a join puts out: takes pairs of rows that may fit, judges them by the join's condition, and makes batches of
//! pairs and single rows as the kind of join wants them. How the pairs were found is the join's own.
//!
//! Rows come out in the order of the left input; a left row without a partner stands where its pairs would.

use crate::batch::batch::{Batch, Selection};
use crate::batch::column::{Column, ColumnData, ColumnForm};
use crate::batch::pick::NO_ROW;
use crate::batch::validity::Bitmap;
use crate::common::limits::BATCH_ROWS;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::sql::evaluate::columns;
use crate::sql::evaluate::context::EvaluationContext;
use crate::sql::executor::join::table::Pairs;
use crate::sql::executor::node::mark_inputs;
use crate::sql::executor::store::RowStore;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::PhysicalJoinKind;
use crate::sql::types::data_type::DataType;

/// A scalar subquery gave more than one row.
pub(in crate::sql::executor) fn more_than_one_row() -> Error {
    Error::new(
        SqlState::CARDINALITY_VIOLATION,
        "more than one row returned by a subquery used as an expression",
    )
}

/// Types and uses of a join's columns.
pub(super) struct JoinColumns {
    pub(super) left_types: Vec<DataType>,
    pub(super) right_types: Vec<DataType>,
    /// Which are used by what reads the join; others come out as NULL.
    left_wanted: Vec<bool>,
    right_wanted: Vec<bool>,
    /// Which are used by the condition.
    left_judged: Vec<bool>,
    right_judged: Vec<bool>,
}

impl JoinColumns {
    /// `wanted`: which output columns are used; `None`: all.
    pub(super) fn new(
        left_types: Vec<DataType>,
        right_types: Vec<DataType>,
        wanted: Option<&[bool]>,
        condition: Option<&Expression>,
    ) -> JoinColumns {
        let width = left_types.len();
        let mut judged = vec![false; width + right_types.len()];
        condition.into_iter().for_each(|condition| mark_inputs(condition, &mut judged));
        let right_judged = judged.split_off(width);
        let is_wanted = |column: usize| wanted.is_none_or(|wanted| wanted.get(column) == Some(&true));
        JoinColumns {
            left_wanted: (0..width).map(is_wanted).collect(),
            right_wanted: (0..right_types.len()).map(|column| is_wanted(width + column)).collect(),
            left_types,
            right_types,
            left_judged: judged,
            right_judged,
        }
    }

    /// Which columns of the right side have to be kept, for a join of this kind.
    pub(super) fn right_kept(&self, kind: PhysicalJoinKind) -> Vec<bool> {
        let puts_out =
            !matches!(kind, PhysicalJoinKind::Semi | PhysicalJoinKind::Anti | PhysicalJoinKind::Mark);
        let columns = self.right_wanted.iter().zip(&self.right_judged);
        columns.map(|(wanted, judged)| *judged || (puts_out && *wanted)).collect()
    }
}

/// The state of a join's output.
pub(super) struct JoinOutput {
    kind: PhysicalJoinKind,
    columns: JoinColumns,
    /// The left batch at hand.
    batch: Batch,
    /// Its selected rows.
    rows: Vec<u16>,
    /// By left row: whether it has a partner.
    matched: Vec<bool>,
    /// By left row, for a mark: whether the condition was NULL for some right row.
    unknown: Vec<bool>,
    /// How many of `rows` have been put out, with or without a partner.
    done: usize,
    /// By right row, for right and full joins: whether it has a partner.
    right_matched: Vec<bool>,
    /// How many right rows were looked at after the end.
    right_done: usize,
    /// Pairs beyond a full batch.
    left_over: Option<Pairs>,
}

impl JoinOutput {
    pub(super) fn new(kind: PhysicalJoinKind, columns: JoinColumns) -> JoinOutput {
        JoinOutput {
            kind,
            columns,
            batch: Batch::default(),
            rows: Vec::new(),
            matched: Vec::new(),
            unknown: Vec::new(),
            done: 0,
            right_matched: Vec::new(),
            right_done: 0,
            left_over: None,
        }
    }

    pub(super) fn columns(&self) -> &JoinColumns {
        &self.columns
    }

    /// Whether a left row matters only by whether it has a partner: one is enough.
    pub(super) fn is_by_existence(&self) -> bool {
        matches!(self.kind, PhysicalJoinKind::Semi | PhysicalJoinKind::Anti | PhysicalJoinKind::Mark)
    }

    fn keeps_right_rows(&self) -> bool {
        matches!(self.kind, PhysicalJoinKind::Right | PhysicalJoinKind::Full)
    }

    fn keeps_left_rows(&self) -> bool {
        matches!(self.kind, PhysicalJoinKind::Left | PhysicalJoinKind::Full | PhysicalJoinKind::Single)
    }

    /// All right rows are there, `count` of them.
    pub(super) fn start_right(&mut self, count: usize) {
        if self.keeps_right_rows() {
            self.right_matched = vec![false; count];
        }
        self.right_done = 0;
    }

    /// No right row has a partner any more.
    pub(super) fn forget_matches(&mut self) {
        self.right_matched.fill(false);
        self.right_done = 0;
        self.left_over = None;
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.right_matched.capacity()
    }

    /// Takes the next left batch.
    pub(super) fn start(&mut self, batch: Batch) {
        self.rows.clear();
        match &batch.selection {
            Some(selection) => self.rows.extend_from_slice(&selection.0),
            None => self.rows.extend((0..batch.rows).map(|row| row as u16)),
        }
        self.matched.clear();
        self.matched.resize(batch.rows, false);
        if self.kind == PhysicalJoinKind::Mark {
            self.unknown.clear();
            self.unknown.resize(batch.rows, false);
        }
        self.done = 0;
        self.batch = batch;
    }

    /// The left batch at hand.
    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// The left row at `position` among those that count.
    pub(super) fn row(&self, position: usize) -> Option<u16> {
        self.rows.get(position).copied()
    }

    /// Whether the left row has a partner.
    #[inline]
    pub(super) fn is_matched(&self, row: u16) -> bool {
        self.matched[usize::from(row)]
    }

    /// The left rows whose mark is not true yet, ascending.
    pub(super) fn unmatched_rows(&self) -> Vec<u16> {
        self.rows.iter().copied().filter(|row| !self.matched[usize::from(*row)]).collect()
    }

    /// Whether the left row's mark is NULL for now.
    pub(super) fn is_unknown(&self, row: u16) -> bool {
        self.unknown[usize::from(row)]
    }

    /// For a mark: the condition was NULL for these left rows and some right row.
    pub(super) fn set_unknown(&mut self, rows: &[u16]) {
        rows.iter().for_each(|row| self.unknown[usize::from(*row)] = true);
    }

    /// The columns that the condition uses, a row a pair; others hold nothing but NULL.
    fn judged(&self, pairs: &Pairs, store: &RowStore) -> Batch {
        let count = pairs.len();
        let mut columns = Vec::with_capacity(self.columns.left_types.len() + self.columns.right_types.len());
        let constant = pairs.rows.first().filter(|first| pairs.rows.last() == Some(first));
        for ((column, data_type), judged) in
            self.batch.columns.iter().zip(&self.columns.left_types).zip(&self.columns.left_judged)
        {
            columns.push(Arc::new(match constant {
                _ if !*judged => Column::null(*data_type, count),
                // Pairs are in the order of left rows: one row alone.
                Some(row) => Column::constant(column.data_type, column.datum(usize::from(*row)), count),
                None => column.gather(&pairs.rows),
            }));
        }
        let (first, last) = (pairs.partners[0], pairs.partners[count - 1]);
        if constant.is_some()
            && last as usize + 1 == first as usize + count
            && pairs.partners.windows(2).all(|pair| pair[1] == pair[0] + 1)
        {
            store.slice(first as usize, last as usize + 1, &self.columns.right_judged, &mut columns);
        } else {
            store.pick(&pairs.partners, &self.columns.right_judged, &mut columns);
        }
        Batch { columns, rows: count, selection: None }
    }

    /// Keeps the pairs for which the condition is true; for a mark, notes where it is NULL.
    pub(super) fn judge(
        &mut self,
        pairs: &mut Pairs,
        condition: Option<&Expression>,
        store: &RowStore,
        evaluation: &EvaluationContext<'_>,
    ) -> Result<()> {
        let Some(condition) = condition else { return Ok(()) };
        if pairs.len() == 0 {
            return Ok(());
        }
        let mut batch = self.judged(pairs, store);
        if self.kind == PhysicalJoinKind::Mark {
            let truth = columns::evaluate(condition, &batch, evaluation)?;
            let mut kept = Vec::new();
            for position in 0..pairs.len() {
                if truth.is_null(position) {
                    self.unknown[usize::from(pairs.rows[position])] = true;
                } else if is_true(&truth, position) {
                    kept.push(position as u16);
                }
            }
            pairs.keep(&kept);
            return Ok(());
        }
        columns::filter(condition, &mut batch, evaluation)?;
        if let Some(selection) = &batch.selection {
            pairs.keep(&selection.0);
        }
        Ok(())
    }

    /// Notes that the pairs fit.
    /// # Errors
    /// `21000` for a second partner where one is allowed.
    pub(super) fn note(&mut self, pairs: &Pairs) -> Result<()> {
        if self.kind == PhysicalJoinKind::Single {
            for row in &pairs.rows {
                if std::mem::replace(&mut self.matched[usize::from(*row)], true) {
                    return Err(more_than_one_row());
                }
            }
        } else if self.kind != PhysicalJoinKind::Inner && self.kind != PhysicalJoinKind::Right {
            pairs.rows.iter().for_each(|row| self.matched[usize::from(*row)] = true);
        }
        if self.keeps_right_rows() {
            pairs.partners.iter().for_each(|partner| self.right_matched[*partner as usize] = true);
        }
        Ok(())
    }

    /// A batch of the pairs, which were noted; where left rows without a partner are kept, of those among the rows
    /// before `boundary` too, all pairs of which have been here. `None`: nothing to put out.
    pub(super) fn give(
        &mut self,
        pairs: &mut Pairs,
        boundary: Option<u16>,
        store: &RowStore,
    ) -> Option<Batch> {
        if self.keeps_left_rows() {
            self.add_single_rows(pairs, boundary);
        }
        if pairs.len() > BATCH_ROWS {
            let rest = Pairs {
                rows: pairs.rows.split_off(BATCH_ROWS),
                partners: pairs.partners.split_off(BATCH_ROWS),
            };
            self.left_over = Some(rest);
        }
        (pairs.len() > 0).then(|| self.pair_batch(pairs, store))
    }

    /// Whether something did not fit the last batch.
    pub(super) fn has_rest(&self) -> bool {
        self.left_over.is_some()
    }

    /// What did not fit the last batch.
    pub(super) fn give_rest(&mut self, store: &RowStore) -> Option<Batch> {
        let pairs = self.left_over.take()?;
        Some(self.pair_batch(&pairs, store))
    }

    /// Puts left rows without a partner between the pairs.
    fn add_single_rows(&mut self, pairs: &mut Pairs, boundary: Option<u16>) {
        let start = self.done;
        let end = match boundary {
            None => self.rows.len(),
            Some(boundary) => start + self.rows[start..].partition_point(|row| *row < boundary),
        };
        self.done = end;
        let complete = &self.rows[start..end];
        if complete.iter().all(|row| self.matched[usize::from(*row)]) {
            return;
        }
        let mut merged = Pairs::default();
        let mut next = 0;
        for row in complete {
            if !self.matched[usize::from(*row)] {
                merged.push(*row, NO_ROW);
                continue;
            }
            while next < pairs.len() && pairs.rows[next] == *row {
                merged.push(*row, pairs.partners[next]);
                next += 1;
            }
        }
        merged.rows.extend_from_slice(&pairs.rows[next..]);
        merged.partners.extend_from_slice(&pairs.partners[next..]);
        *pairs = merged;
    }

    fn pair_batch(&self, pairs: &Pairs, store: &RowStore) -> Batch {
        let count = pairs.len();
        let columns = &self.columns;
        let mut out = Vec::with_capacity(columns.left_types.len() + columns.right_types.len());
        // Where a left row comes at most once, its columns can stay as they are, under a selection.
        let dense = count * 2 >= self.batch.rows && pairs.rows.windows(2).all(|pair| pair[0] < pair[1]);
        if dense {
            for ((column, data_type), wanted) in
                self.batch.columns.iter().zip(&columns.left_types).zip(&columns.left_wanted)
            {
                out.push(match wanted {
                    true => Arc::clone(column),
                    false => Arc::new(Column::null(*data_type, self.batch.rows)),
                });
            }
            if count == self.batch.rows {
                store.pick(&pairs.partners, &columns.right_wanted, &mut out);
                return Batch { columns: out, rows: count, selection: None };
            }
            // Slots of rows that are not selected repeat the first partner.
            let mut scattered = vec![pairs.partners[0]; self.batch.rows];
            for (row, partner) in pairs.rows.iter().zip(&pairs.partners) {
                scattered[usize::from(*row)] = *partner;
            }
            store.pick(&scattered, &columns.right_wanted, &mut out);
            let selection = Some(Selection(pairs.rows.clone()));
            return Batch { columns: out, rows: self.batch.rows, selection };
        }
        for ((column, data_type), wanted) in
            self.batch.columns.iter().zip(&columns.left_types).zip(&columns.left_wanted)
        {
            out.push(Arc::new(match wanted {
                true => column.gather(&pairs.rows),
                false => Column::null(*data_type, count),
            }));
        }
        store.pick(&pairs.partners, &columns.right_wanted, &mut out);
        Batch { columns: out, rows: count, selection: None }
    }

    /// All pairs of the left batch have been noted: what comes out of its rows alone, for semi joins, anti joins and
    /// marks.
    pub(super) fn give_existence(&mut self) -> Option<Batch> {
        let mut batch = std::mem::take(&mut self.batch);
        match self.kind {
            PhysicalJoinKind::Semi | PhysicalJoinKind::Anti => {
                let wanted = self.kind == PhysicalJoinKind::Semi;
                let rows: Vec<u16> = self
                    .rows
                    .iter()
                    .copied()
                    .filter(|row| self.matched[usize::from(*row)] == wanted)
                    .collect();
                if rows.len() < batch.rows {
                    batch.selection = Some(Selection(rows));
                }
            }
            PhysicalJoinKind::Mark => {
                let bits = Bitmap::from_fn(batch.rows, |row| self.matched[row]);
                let validity = Bitmap::from_fn(batch.rows, |row| self.matched[row] || !self.unknown[row]);
                let validity = (!validity.is_all_ones()).then_some(validity);
                let mark = Column::flat(DataType::Boolean, ColumnData::Boolean(bits), validity);
                batch.columns.push(Arc::new(mark));
            }
            _ => return None,
        }
        Some(batch)
    }

    /// The left input has ended: right rows without a partner, for right and full joins; `None`: no more.
    pub(super) fn give_right_rows(&mut self, store: &RowStore) -> Option<Batch> {
        if !self.keeps_right_rows() {
            return None;
        }
        let mut rows = Vec::new();
        while self.right_done < self.right_matched.len() && rows.len() < BATCH_ROWS {
            if !self.right_matched[self.right_done] {
                rows.push(self.right_done as u32);
            }
            self.right_done += 1;
        }
        if rows.is_empty() {
            return None;
        }
        let nulls = self.columns.left_types.iter();
        let mut out: Vec<Arc<Column>> =
            nulls.map(|data_type| Arc::new(Column::null(*data_type, rows.len()))).collect();
        store.pick(&rows, &self.columns.right_wanted, &mut out);
        Some(Batch { columns: out, rows: rows.len(), selection: None })
    }
}

/// Whether a boolean column is true at a row that is not NULL.
fn is_true(column: &Column, row: usize) -> bool {
    match (&column.data, column.form) {
        (ColumnData::Boolean(bits), ColumnForm::Flat) => bits.get(row),
        (ColumnData::Boolean(bits), ColumnForm::Constant) => bits.get(0),
        _ => false,
    }
}
