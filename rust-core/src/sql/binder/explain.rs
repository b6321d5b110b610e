//! EXPLAIN and ANALYZE.

use crate::error::{Error, Result, SqlState};
use crate::sql::ast::Statement;
use crate::sql::ast::control::{Analyze, Explain, MaintenanceTarget, UtilityOption, Vacuum};
use crate::sql::ast::define::{CreateTableAs, OptionValue};
use crate::sql::ast::expression::Literal;
use crate::sql::binder::binder::Binder;
use crate::sql::binder::bound::{
    self, AnalyzeTarget, BoundStatement, ExplainFormat, ExplainStatement, ObjectName,
};
use crate::sql::plan::logical::LogicalPlan;
use crate::sql::plan::physical::StatementKind;

/// What the options of an EXPLAIN say; `None`: nothing.
#[derive(Default)]
struct Options {
    analyze: bool,
    verbose: bool,
    costs: Option<bool>,
    timing: Option<bool>,
    summary: Option<bool>,
    json: bool,
}

/// The options that PostgreSQL knows.
const VACUUM_OPTIONS: [&str; 10] = [
    "full",
    "freeze",
    "verbose",
    "analyze",
    "disable_page_skipping",
    "skip_locked",
    "index_cleanup",
    "process_toast",
    "truncate",
    "parallel",
];

impl Binder<'_> {
    pub(super) fn bind_explain(mut self, explain: &Explain<'_>) -> Result<BoundStatement> {
        let mut options = Options::default();
        for option in explain.options {
            read_explain_option(option, &mut options)?;
        }
        if options.timing == Some(true) && !options.analyze {
            let message = "EXPLAIN option TIMING requires ANALYZE";
            return Err(Error::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
        let start = explain.span.position();
        let mut arguments = None;
        let (plan, parameters, kind) = if let Statement::CreateTableAs(create) = &explain.statement {
            let create = self.bind_explained_table(create, options.analyze, start)?;
            arguments = create.arguments;
            (create.plan, create.parameters, StatementKind::Select)
        } else if let Statement::Execute(execute) = &explain.statement {
            arguments = Some(self.bind_arguments(execute)?);
            self.with_executed(execute, |mut binder, statement| {
                let Some((mut plan, kind)) = binder.bind_planned(statement)? else {
                    return Err(Error::internal("a prepared statement without a plan"));
                };
                let parameters = super::type_all_parameters(binder.parameters, &mut plan)?;
                Ok((plan, parameters, kind))
            })?
        } else {
            let Some((mut plan, kind)) = self.bind_planned(&explain.statement)? else {
                return Err(Error::not_supported("EXPLAIN of this kind of statement").at(start));
            };
            let parameters = super::type_all_parameters(self.parameters, &mut plan)?;
            (plan, parameters, kind)
        };
        Ok(BoundStatement::Explain(Box::new(ExplainStatement {
            plan,
            parameters,
            arguments,
            kind,
            analyze: options.analyze,
            verbose: options.verbose,
            costs: options.costs.unwrap_or(true),
            timing: options.timing.unwrap_or(options.analyze),
            summary: options.summary.unwrap_or(options.analyze),
            format: if options.json { ExplainFormat::Json } else { ExplainFormat::Text },
        })))
    }

    /// The query of a CREATE TABLE AS that is explained and not run.
    fn bind_explained_table(
        self,
        create: &CreateTableAs<'_>,
        analyze: bool,
        start: usize,
    ) -> Result<bound::CreateTableAs> {
        if analyze {
            return Err(Error::not_supported("EXPLAIN ANALYZE of CREATE TABLE AS").at(start));
        }
        let schema = self.creation_schema(&create.name)?;
        let name = create.name.object().text;
        if self.catalog.relation(Some(&schema), name).is_some() {
            if create.if_not_exists {
                return Err(Error::not_supported("EXPLAIN of a CREATE TABLE AS that makes nothing").at(start));
            }
            let message = format!("relation \"{name}\" already exists");
            return Err(Error::new(SqlState::DUPLICATE_TABLE, message).at(create.name.position()));
        }
        match self.bind_create_table_as(create)? {
            BoundStatement::CreateTableAs(create) => Ok(*create),
            _ => Err(Error::internal("CREATE TABLE AS bound as something else")),
        }
    }

    pub(super) fn bind_analyze(&self, analyze: &Analyze<'_>) -> Result<BoundStatement> {
        let mut skip_locked = false;
        for option in analyze.options {
            if option.name.text == "skip_locked" {
                skip_locked = boolean(option)?;
                continue;
            }
            if !matches!(option.name.text, "verbose" | "buffer_usage_limit") {
                let message = format!("unrecognized ANALYZE option \"{}\"", option.name.text);
                return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(option.name.position()));
            }
            if option.value.is_some() && !boolean(option)? {
                continue;
            }
            let what = format!("ANALYZE with {}", option.name.text.to_ascii_uppercase());
            return Err(Error::not_supported(what).at(option.name.position()));
        }
        Ok(BoundStatement::Analyze { targets: self.maintenance_targets(analyze.targets)?, skip_locked })
    }

    /// VACUUM, VACUUM FULL and VACUUM FREEZE do the same, beside readers and writers.
    pub(super) fn bind_vacuum(&self, vacuum: &Vacuum<'_>) -> Result<BoundStatement> {
        let (mut analyze, mut skip_locked) = (false, false);
        for option in vacuum.options {
            let name = option.name.text;
            if !VACUUM_OPTIONS.contains(&name) {
                let message = format!("unrecognized VACUUM option \"{name}\"");
                return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(option.name.position()));
            }
            match name {
                // No row is ever in need of freezing.
                "full" | "freeze" => _ = boolean(option)?,
                "analyze" => analyze = boolean(option)?,
                "skip_locked" => skip_locked = boolean(option)?,
                "verbose" | "disable_page_skipping" if option.value.is_some() && !boolean(option)? => {}
                _ => {
                    let what = format!("VACUUM with {}", name.to_ascii_uppercase());
                    return Err(Error::not_supported(what).at(option.name.position()));
                }
            }
        }
        if let Some(target) = vacuum.targets.iter().find(|target| !analyze && !target.columns.is_empty()) {
            let message = "ANALYZE option must be specified when a column list is provided";
            let error = Error::new(SqlState::FEATURE_NOT_SUPPORTED, message);
            return Err(error.at(target.table.position()));
        }
        Ok(BoundStatement::Vacuum {
            targets: self.maintenance_targets(vacuum.targets)?,
            analyze,
            skip_locked,
        })
    }

    fn maintenance_targets(&self, targets: &[MaintenanceTarget<'_>]) -> Result<Vec<AnalyzeTarget>> {
        let mut names = Vec::with_capacity(targets.len());
        for target in targets {
            let table = self.find_table(&target.table)?;
            let mut columns = Vec::with_capacity(target.columns.len());
            for name in target.columns {
                let Some(position) = table.columns.iter().position(|column| column.name == name.text) else {
                    let message =
                        format!("column \"{}\" of relation \"{}\" does not exist", name.text, table.name);
                    return Err(Error::new(SqlState::UNDEFINED_COLUMN, message).at(name.position()));
                };
                if columns.contains(&position) {
                    let message = format!(
                        "column \"{}\" of relation \"{}\" appears more than once",
                        name.text, table.name
                    );
                    return Err(Error::new(SqlState::DUPLICATE_COLUMN, message).at(name.position()));
                }
                columns.push(position);
            }
            let table = ObjectName {
                schema: Some(table.schema.clone()),
                name: table.name.clone(),
                position: target.table.position(),
            };
            names.push(AnalyzeTarget { table, columns });
        }
        Ok(names)
    }

    /// A statement that has a plan; `None` for others.
    pub(super) fn bind_planned(
        &mut self,
        statement: &Statement<'_>,
    ) -> Result<Option<(LogicalPlan, StatementKind)>> {
        use crate::sql::binder::query::Untyped;
        Ok(Some(match statement {
            Statement::Query(query) => {
                (*self.bind_query(query, Untyped::BecomesText)?.plan, StatementKind::Select)
            }
            Statement::Insert(insert) => (self.bind_insert(insert)?, StatementKind::Insert),
            Statement::Update(update) => (self.bind_update(update)?, StatementKind::Update),
            Statement::Delete(delete) => (self.bind_delete(delete)?, StatementKind::Delete),
            _ => return Ok(None),
        }))
    }
}

fn read_explain_option(option: &UtilityOption<'_>, options: &mut Options) -> Result<()> {
    let name = option.name.text;
    match name {
        "analyze" | "analyse" => options.analyze = boolean(option)?,
        "verbose" => options.verbose = boolean(option)?,
        "costs" => options.costs = Some(boolean(option)?),
        "timing" => options.timing = Some(boolean(option)?),
        "summary" => options.summary = Some(boolean(option)?),
        "buffers" | "wal" | "settings" => {
            if boolean(option)? {
                let what = format!("EXPLAIN with {}", name.to_ascii_uppercase());
                return Err(Error::not_supported(what).at(option.name.position()));
            }
        }
        "format" => {
            let value = word(option).unwrap_or_default();
            match &*value {
                "text" => options.json = false,
                "json" => options.json = true,
                "xml" | "yaml" => {
                    let what = format!("EXPLAIN (FORMAT {})", value.to_ascii_uppercase());
                    return Err(Error::not_supported(what).at(option.name.position()));
                }
                _ => {
                    let message = format!("unrecognized value for EXPLAIN option \"format\": \"{value}\"");
                    return Err(
                        Error::new(SqlState::INVALID_PARAMETER_VALUE, message).at(option.name.position())
                    );
                }
            }
        }
        _ => {
            let message = format!("unrecognized EXPLAIN option \"{name}\"");
            let known = ["analyze", "verbose", "costs", "timing", "summary", "format"];
            return Err(Error::new(SqlState::SYNTAX_ERROR, message)
                .hint_near_miss(name, known)
                .at(option.name.position()));
        }
    }
    Ok(())
}

/// The value of an option as a lower-case word.
pub(super) fn word(option: &UtilityOption<'_>) -> Option<String> {
    match option.value? {
        OptionValue::Name(name) => Some(name.text.to_ascii_lowercase()),
        OptionValue::Literal(Literal::String(text)) => Some(text.to_ascii_lowercase()),
        OptionValue::Literal(Literal::Boolean(value)) => Some(value.to_string()),
        OptionValue::Literal(Literal::Integer(value)) => Some(value.to_string()),
        OptionValue::Literal(Literal::Number(digits)) => Some(digits.to_owned()),
        _ => None,
    }
}

/// The value of an option that is on or off; on without one.
pub(super) fn boolean(option: &UtilityOption<'_>) -> Result<bool> {
    if option.value.is_none() {
        return Ok(true);
    }
    match word(option).as_deref() {
        Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        _ => {
            let message = format!("{} requires a Boolean value", option.name.text);
            Err(Error::new(SqlState::SYNTAX_ERROR, message).at(option.name.position()))
        }
    }
}
