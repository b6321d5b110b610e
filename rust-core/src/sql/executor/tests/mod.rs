//! Operators against models that try everything, on random rows with NULLs and duplicates. Method: plans made by hand
//! over VALUES, run in an engine in memory with an account of their own.

mod grouping;
mod joins;
mod limits;
mod recursion;

use super::{Execution, ExecutionContext, start};
use crate::batch::batch::Batch;
use crate::common::cancel::CancelToken;
use crate::common::clock::SystemClock;
use crate::common::ids::TransactionId;
use crate::common::limits::{LOG_SEGMENT_FIRST_BYTES, LOG_SEGMENT_MAX_BYTES};
use crate::common::memory::MemoryAccount;
use crate::common::random::Random;
use crate::common::sync::Arc;
use crate::durability::manager::DurabilityManager;
use crate::durability::policy::Durability;
use crate::error::Result;
use crate::io::memory::MemoryVfs;
use crate::io::vfs::Vfs;
use crate::sql::evaluate::row::result_type;
use crate::sql::functions::registry::Registry;
use crate::sql::functions::tests::TestSession;
use crate::sql::plan::expression::Expression;
use crate::sql::plan::physical::{Operator, PhysicalNode, PhysicalPlan, StatementKind};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;
use crate::storage::{Storage, StorageOptions};
use crate::transaction::manager::TransactionManager;
use crate::transaction::types::IsolationLevel;
use crate::wal::manager::{Log, LogOptions};
use std::path::PathBuf;

/// A row of a model.
pub(super) type Row = Vec<Datum>;

/// An engine without tables, and the account that plans are charged to.
pub(super) struct Fixture {
    manager: Arc<TransactionManager>,
    pub(super) memory: Arc<MemoryAccount>,
    pub(super) cancel: CancelToken,
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        Fixture::with_memory(256 << 20)
    }

    pub(super) fn with_memory(limit: usize) -> Fixture {
        let vfs: Arc<dyn Vfs> = Arc::new(MemoryVfs::new());
        let storage = Storage::create(StorageOptions {
            vfs: Arc::clone(&vfs),
            path: PathBuf::from("test"),
            page_size: 8192,
            memory: MemoryAccount::new(64 << 20),
            read_only: false,
            database: [7; 16],
        })
        .unwrap();
        let options = LogOptions {
            vfs,
            folder: PathBuf::from("test-wal"),
            database: [7; 16],
            timeline: 1,
            first_segment_bytes: LOG_SEGMENT_FIRST_BYTES,
            segment_bytes_max: LOG_SEGMENT_MAX_BYTES,
            volatile: true,
            salt_seed: 1,
        };
        let log = Arc::new(Log::create(options, storage.last_checkpoint().cut_lsn).unwrap());
        let clock = Arc::new(SystemClock::new());
        let durability = Arc::new(DurabilityManager::new(Arc::clone(&log), clock.clone()));
        let memory = MemoryAccount::new(limit);
        let manager = TransactionManager::new(
            storage,
            Arc::clone(&log),
            durability,
            MemoryAccount::new(64 << 20),
            clock,
            TransactionId(1),
            log.tail(),
        );
        Fixture { manager, memory, cancel: CancelToken::default() }
    }

    /// Calls `body` with a context of a fresh statement.
    pub(super) fn with_context<R>(
        &self,
        parameters: &[Datum],
        body: impl FnOnce(&mut ExecutionContext<'_>) -> R,
    ) -> R {
        let mut transaction =
            self.manager.begin(IsolationLevel::ReadCommitted, false, CancelToken::default());
        transaction.start_statement().unwrap();
        let result = body(&mut ExecutionContext {
            manager: &self.manager,
            transaction: &mut transaction,
            parameters,
            environment: &TestSession,
            memory: &self.memory,
            cancel: &self.cancel,
            pending: &mut crate::sql::executor::PendingChecks::default(),
            supply: None,
            late: None,
        });
        transaction.end_statement();
        transaction.commit(Durability::Off).unwrap();
        result
    }

    /// All rows of a plan; nothing stays charged.
    pub(super) fn run(&self, root: PhysicalNode) -> Result<Vec<Row>> {
        self.run_with(root, &[], &[])
    }

    pub(super) fn run_with(
        &self,
        root: PhysicalNode,
        parameters: &[Datum],
        run_time_parameters: &[DataType],
    ) -> Result<Vec<Row>> {
        let plan = plan(root, parameters.len(), run_time_parameters);
        let result = self.with_context(parameters, |context| {
            let mut execution = start(plan, context)?;
            drain(&mut execution, context)
        });
        assert_eq!(self.memory.used(), 0, "a plan that is gone holds no memory");
        result
    }
}

pub(super) fn plan(
    root: PhysicalNode,
    parameters: usize,
    run_time_parameters: &[DataType],
) -> Arc<PhysicalPlan> {
    Arc::new(PhysicalPlan {
        root,
        columns: Vec::new(),
        parameters: vec![DataType::Integer; parameters],
        run_time_parameters: run_time_parameters.to_vec(),
        short_path: false,
        kind: StatementKind::Select,
        changes_in_with: false,
    })
}

pub(super) fn rows_of(batch: &Batch) -> Vec<Row> {
    batch
        .row_numbers()
        .map(|row| batch.columns.iter().map(|column| column.datum(row).to_owned()).collect())
        .collect()
}

pub(super) fn drain(execution: &mut Execution, context: &mut ExecutionContext<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    while let Some(batch) = execution.next(context)? {
        assert!(batch.selected_rows() > 0, "no empty batch comes out");
        assert!(batch.columns.iter().all(|column| column.rows == batch.rows), "columns of one length");
        rows.extend(rows_of(&batch));
    }
    assert!(execution.next(context)?.is_none(), "the end stays the end");
    Ok(rows)
}

pub(super) fn node(operator: Operator) -> PhysicalNode {
    PhysicalNode { operator, estimated_rows: 1.0, estimated_cost: 1.0 }
}

pub(super) fn boxed(operator: Operator) -> Box<PhysicalNode> {
    Box::new(node(operator))
}

pub(super) fn input(index: usize, data_type: DataType) -> Expression {
    Expression::Input { index, data_type }
}

pub(super) fn integer(index: usize) -> Expression {
    input(index, DataType::Integer)
}

pub(super) fn constant(value: Datum) -> Expression {
    let data_type = value.as_ref().natural_type();
    Expression::Constant { value, data_type }
}

pub(super) fn call(name: &str, arguments: Vec<Expression>) -> Expression {
    let types: Vec<DataType> = arguments.iter().map(result_type).collect();
    let function = Registry::get().scalar_exact(name, &types).expect("the function exists");
    Expression::Call { function, arguments, position: 7 }
}

/// VALUES; under a filter that keeps everything where `scanned`, so that it does not count as cheap.
pub(super) fn values(rows: &[Row], types: &[DataType], scanned: bool) -> PhysicalNode {
    let expression = |(value, data_type): (&Datum, &DataType)| Expression::Constant {
        value: value.clone(),
        data_type: *data_type,
    };
    let leaf = node(Operator::Values {
        rows: rows.iter().map(|row| row.iter().zip(types).map(expression).collect()).collect(),
        types: types.to_vec(),
    });
    if scanned { node(Operator::Append { inputs: vec![leaf] }) } else { leaf }
}

/// A text that is equal for equal rows.
pub(super) fn text(row: &[Datum]) -> String {
    format!("{row:?}")
}

pub(super) fn texts(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| text(row)).collect()
}

pub(super) fn sorted(rows: &[Row]) -> Vec<String> {
    let mut rows = texts(rows);
    rows.sort();
    rows
}

/// An integer below `bound`, or NULL once in `nulls` times (0: never).
pub(super) fn random_integer(random: &mut Random, bound: u64, nulls: u64) -> Datum {
    if nulls > 0 && random.below(nulls) == 0 {
        Datum::Null
    } else {
        Datum::Integer(random.below(bound) as i32)
    }
}
