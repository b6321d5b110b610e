//! COPY: what is read or written, and what the file looks like.

use crate::catalog::table_definition::TableDefinition;
use crate::error::{Error, Result, SqlState};
use crate::sql::ast::control::{Copy as AstCopy, CopySource, CopyTarget, UtilityOption};
use crate::sql::ast::define::OptionValue;
use crate::sql::ast::expression::Literal;
use crate::sql::ast::{Name, ObjectName, Statement};
use crate::sql::binder::binder::Binder;
use crate::sql::binder::bound::{BoundStatement, CopyFile, CopyFormat, CopyHeader, CopyStatement};
use crate::sql::binder::control::unsupported_statement;
use crate::sql::binder::explain::{boolean, word};
use crate::sql::binder::from::table_relation;
use crate::sql::binder::query::Untyped;
use crate::sql::binder::reference::RowChange;
use crate::sql::binder::scope::{Context, Place, Scope, column_expression};
use crate::sql::plan::expression::{Expression, OutputColumn};
use crate::sql::plan::logical::LogicalPlan;

/// The options as written, each at most once.
#[derive(Default)]
struct Options<'a> {
    format: Option<&'a UtilityOption<'a>>,
    delimiter: Option<&'a UtilityOption<'a>>,
    null: Option<&'a UtilityOption<'a>>,
    header: Option<&'a UtilityOption<'a>>,
    quote: Option<&'a UtilityOption<'a>>,
    escape: Option<&'a UtilityOption<'a>>,
    force_quote: Option<&'a UtilityOption<'a>>,
    force_not_null: Option<&'a UtilityOption<'a>>,
    force_null: Option<&'a UtilityOption<'a>>,
    encoding: Option<&'a UtilityOption<'a>>,
    freeze: Option<&'a UtilityOption<'a>>,
}

impl Binder<'_> {
    pub(super) fn bind_copy(mut self, copy: &AstCopy<'_>) -> Result<BoundStatement> {
        let start = copy.span.position();
        let file = match copy.target {
            CopyTarget::File(path) => CopyFile::Path(path.to_owned()),
            CopyTarget::Client => CopyFile::Caller,
            CopyTarget::Program(_) => return Err(Error::not_supported("COPY with PROGRAM").at(start)),
        };
        self.parameters_refused = true;
        let (plan, columns, position) = match (&copy.source, copy.from) {
            (CopySource::Table { name, columns }, true) => {
                let (plan, columns) = self.copy_from(name, columns, copy)?;
                (plan, columns, name.position())
            }
            (CopySource::Table { name, columns }, false) => {
                let (plan, columns) = self.copy_table_to(name, columns)?;
                (plan, columns, name.position())
            }
            (CopySource::Statement(Statement::Query(query)), _) => {
                let bound = self.bind_query(query, Untyped::BecomesText)?;
                (*bound.plan, bound.columns, query.span.position())
            }
            (CopySource::Statement(statement), _) => {
                let Some((plan, _)) = self.bind_planned(statement)? else {
                    return Err(unsupported_statement(statement));
                };
                let columns = plan.output_columns();
                if columns.is_empty() {
                    let message = "COPY query must have a RETURNING clause";
                    return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, message));
                }
                (plan, columns, start)
            }
        };
        let format = read_format(copy, &columns)?;
        Ok(BoundStatement::Copy(Box::new(CopyStatement {
            plan,
            from: copy.from,
            columns,
            file,
            format,
            position,
        })))
    }

    /// The columns of a table that are copied: all, or those named.
    fn copied_columns(&self, table: &TableDefinition, names: &[Name<'_>]) -> Result<Vec<usize>> {
        if names.is_empty() {
            return Ok((0..table.columns.len()).collect());
        }
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let column = table.column_index(name.text).ok_or_else(|| {
                let message =
                    format!("column \"{}\" of relation \"{}\" does not exist", name.text, table.name);
                Error::new(SqlState::UNDEFINED_COLUMN, message)
                    .hint_near_miss(name.text, table.columns.iter().map(|column| &*column.name))
                    .at(name.position())
            })?;
            if columns.contains(&column) {
                let message = format!("column \"{}\" specified more than once", name.text);
                return Err(Error::new(SqlState::DUPLICATE_COLUMN, message).at(name.position()));
            }
            columns.push(column);
        }
        Ok(columns)
    }

    /// Supplied rows with the defaults of the other columns, put into the table.
    fn copy_from(
        &mut self,
        name: &ObjectName<'_>,
        names: &[Name<'_>],
        copy: &AstCopy<'_>,
    ) -> Result<(LogicalPlan, Vec<OutputColumn>)> {
        let table = self.find_target(name, "copy to")?;
        let targets = self.copied_columns(&table, names)?;
        let position = name.position();
        let mut expressions: Vec<Expression> = Vec::with_capacity(table.columns.len());
        let mut supplied: Vec<Option<OutputColumn>> = vec![None; targets.len()];
        for (index, column) in table.columns.iter().enumerate() {
            match targets.iter().position(|target| *target == index) {
                Some(place) => {
                    let column = self.new_column(&*column.name, column.sql_type, true);
                    expressions.push(column_expression(&column));
                    supplied[place] = Some(column);
                }
                None => expressions.push(self.bind_default(&table, index, position)?),
            }
        }
        let supplied: Vec<OutputColumn> = supplied.into_iter().flatten().collect();
        let columns = self.table_columns(&table);
        let input = Box::new(LogicalPlan::Supplied { columns: supplied.clone() });
        let mut input = Box::new(LogicalPlan::Project { input, expressions, columns: columns.clone() });
        if let Some(filter) = copy.filter {
            let scope = Scope::of(table_relation(&table, columns));
            let mut context = Context::new(&scope, Place::CopyFilter);
            let predicate = self.bind_condition(filter, "WHERE", &mut context)?.expression;
            input = Box::new(LogicalPlan::Filter { input, predicate });
        }
        let new_columns = self.table_columns(&table);
        let checks = self.bind_checks(&table, &new_columns, position)?;
        let computed = self.bind_computed(&table, position)?;
        let references = self.bind_references(&table, &[RowChange::Added], position)?;
        let (returning, conflict) = (None, None);
        let plan = LogicalPlan::Insert {
            table,
            input,
            checks,
            new_columns,
            returning,
            computed,
            references,
            conflict,
        };
        Ok((plan, supplied))
    }

    fn copy_table_to(
        &mut self,
        name: &ObjectName<'_>,
        names: &[Name<'_>],
    ) -> Result<(LogicalPlan, Vec<OutputColumn>)> {
        let schema = name.schema().map(|schema| schema.text);
        if self.catalog.view(schema, name.object().text).is_some() {
            let message = format!("cannot copy from view \"{}\"", name.object().text);
            return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, message)
                .hint("Try the COPY (SELECT ...) TO variant.")
                .at(name.position()));
        }
        let table = self.find_table(name)?;
        let targets = self.copied_columns(&table, names)?;
        let mut all = self.table_columns(&table);
        let mut expressions = Vec::with_capacity(targets.len());
        let mut columns = Vec::with_capacity(targets.len());
        for target in targets {
            expressions.push(column_expression(&all[target]));
            columns.push(OutputColumn { id: self.new_column_id(), ..all[target].clone() });
        }
        let table = table.readable(self.options.snapshot);
        let computed = self.bind_computed(&table, name.position())?;
        self.add_computed_columns(&table, &mut all);
        let input = Box::new(LogicalPlan::Scan { table, columns: all, computed, row_id: None });
        Ok((LogicalPlan::Project { input, expressions, columns: columns.clone() }, columns))
    }
}

fn gather<'a>(options: &'a [UtilityOption<'a>]) -> Result<Options<'a>> {
    let mut gathered = Options::default();
    for option in options {
        let place = match option.name.text {
            "format" => &mut gathered.format,
            "delimiter" => &mut gathered.delimiter,
            "null" => &mut gathered.null,
            "header" => &mut gathered.header,
            "quote" => &mut gathered.quote,
            "escape" => &mut gathered.escape,
            "force_quote" => &mut gathered.force_quote,
            "force_not_null" => &mut gathered.force_not_null,
            "force_null" => &mut gathered.force_null,
            "encoding" => &mut gathered.encoding,
            "freeze" => &mut gathered.freeze,
            name => {
                let known = [
                    "format",
                    "delimiter",
                    "null",
                    "header",
                    "quote",
                    "escape",
                    "force_quote",
                    "force_not_null",
                    "force_null",
                    "encoding",
                ];
                let message = format!("option \"{name}\" not recognized");
                return Err(Error::new(SqlState::SYNTAX_ERROR, message)
                    .hint_near_miss(name, known)
                    .at(option.name.position()));
            }
        };
        if place.replace(option).is_some() {
            let message = "conflicting or redundant options";
            return Err(Error::new(SqlState::SYNTAX_ERROR, message).at(option.name.position()));
        }
    }
    Ok(gathered)
}

/// An option's text as written.
fn text(option: &UtilityOption<'_>) -> Result<String> {
    match option.value {
        Some(OptionValue::Literal(Literal::String(text))) => Ok(text.to_owned()),
        Some(OptionValue::Name(name)) => Ok(name.text.to_owned()),
        _ => word(option).ok_or_else(|| {
            let message = format!("{} requires a parameter", option.name.text);
            Error::new(SqlState::SYNTAX_ERROR, message).at(option.name.position())
        }),
    }
}

fn refuse(state: SqlState, message: impl Into<String>, option: &UtilityOption<'_>) -> Error {
    Error::new(state, message).at(option.name.position())
}

/// An option that is one byte.
fn byte(option: &UtilityOption<'_>, name: &str) -> Result<u8> {
    match text(option)?.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err(refuse(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("COPY {name} must be a single one-byte character"),
            option,
        )),
    }
}

fn read_format(copy: &AstCopy<'_>, columns: &[OutputColumn]) -> Result<CopyFormat> {
    let options = gather(copy.options)?;
    let csv = match options.format {
        None => false,
        Some(option) => match &*text(option)? {
            "text" => false,
            "csv" => true,
            "binary" => return Err(Error::not_supported("COPY in binary format").at(option.name.position())),
            other => {
                let message = format!("COPY format \"{other}\" not recognized");
                return Err(refuse(SqlState::INVALID_PARAMETER_VALUE, message, option));
            }
        },
    };
    if let Some(option) = options.freeze
        && boolean(option)?
    {
        return Err(Error::not_supported("COPY with FREEZE").at(option.name.position()));
    }
    if let Some(option) = options.encoding {
        let encoding = text(option)?.to_ascii_lowercase().replace(['-', '_'], "");
        if !matches!(&*encoding, "utf8" | "unicode") {
            return Err(
                Error::not_supported("COPY in another encoding than UTF-8").at(option.name.position())
            );
        }
    }
    let mut format = CopyFormat {
        csv,
        delimiter: if csv { b',' } else { b'\t' },
        null: if csv { String::new() } else { "\\N".to_owned() },
        header: CopyHeader::None,
        quote: b'"',
        escape: b'"',
        force_quote: vec![false; columns.len()],
        force_not_null: vec![false; columns.len()],
        force_null: vec![false; columns.len()],
    };
    if let Some(option) = options.header {
        format.header = match word(option).as_deref() {
            Some("match") if !copy.from => {
                let message = "cannot use \"match\" with HEADER in COPY TO";
                return Err(refuse(SqlState::FEATURE_NOT_SUPPORTED, message, option));
            }
            Some("match") => CopyHeader::Match,
            _ if boolean(option)? => CopyHeader::Names,
            _ => CopyHeader::None,
        };
    }
    read_characters(&options, &mut format)?;
    read_forced(&options, copy, columns, &mut format)?;
    Ok(format)
}

/// Delimiter, NULL, quote and escape, which must not be mistaken for each other.
fn read_characters(options: &Options<'_>, format: &mut CopyFormat) -> Result<()> {
    let invalid = SqlState::INVALID_PARAMETER_VALUE;
    let unsupported = SqlState::FEATURE_NOT_SUPPORTED;
    if let Some(option) = options.delimiter {
        format.delimiter = byte(option, "delimiter")?;
        if matches!(format.delimiter, b'\n' | b'\r') {
            let message = "COPY delimiter cannot be newline or carriage return";
            return Err(refuse(invalid, message, option));
        }
        let is_taken = matches!(format.delimiter, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9');
        if !format.csv && is_taken {
            let message = format!("COPY delimiter cannot be \"{}\"", char::from(format.delimiter));
            return Err(refuse(invalid, message, option));
        }
    }
    if let Some(option) = options.null {
        format.null = text(option)?;
        if format.null.contains(['\n', '\r']) {
            let message = "COPY null representation cannot use newline or carriage return";
            return Err(refuse(invalid, message, option));
        }
    }
    for (option, name) in [(options.quote, "quote"), (options.escape, "escape")] {
        if let Some(option) = option
            && !format.csv
        {
            return Err(refuse(unsupported, format!("COPY {name} available only in CSV mode"), option));
        }
    }
    if let Some(option) = options.quote {
        format.quote = byte(option, "quote")?;
        if format.quote == format.delimiter {
            return Err(refuse(invalid, "COPY delimiter and quote must be different", option));
        }
    }
    format.escape = match options.escape {
        Some(option) => byte(option, "escape")?,
        None => format.quote,
    };
    if let Some(option) = options.null.or(options.delimiter)
        && format.null.as_bytes().contains(&format.delimiter)
    {
        let message = "COPY delimiter must not appear in the NULL specification";
        return Err(refuse(unsupported, message, option));
    }
    if let Some(option) = options.null.or(options.quote)
        && format.csv
        && format.null.as_bytes().contains(&format.quote)
    {
        let message = "CSV quote character must not appear in the NULL specification";
        return Err(refuse(unsupported, message, option));
    }
    Ok(())
}

fn read_forced(
    options: &Options<'_>,
    copy: &AstCopy<'_>,
    columns: &[OutputColumn],
    format: &mut CopyFormat,
) -> Result<()> {
    let forced = [
        (options.force_quote, "force quote", "FORCE_QUOTE", false, &mut format.force_quote),
        (options.force_not_null, "force not null", "FORCE_NOT_NULL", true, &mut format.force_not_null),
        (options.force_null, "force null", "FORCE_NULL", true, &mut format.force_null),
    ];
    for (option, name, clause, needs_from, flags) in forced {
        let Some(option) = option else { continue };
        let unsupported = SqlState::FEATURE_NOT_SUPPORTED;
        if !format.csv {
            return Err(refuse(unsupported, format!("COPY {name} available only in CSV mode"), option));
        }
        if needs_from != copy.from {
            let which = if needs_from { "FROM" } else { "TO" };
            let message = format!("COPY {name} only available using COPY {which}");
            return Err(refuse(unsupported, message, option));
        }
        let names: &[Name<'_>] = match &option.value {
            Some(OptionValue::Star) if !needs_from => {
                flags.fill(true);
                continue;
            }
            Some(OptionValue::Names(names)) => names,
            Some(OptionValue::Name(name)) => std::slice::from_ref(name),
            _ => {
                let message =
                    format!("argument to option \"{}\" must be a list of column names", option.name.text);
                return Err(refuse(SqlState::INVALID_PARAMETER_VALUE, message, option));
            }
        };
        for name in names {
            let Some(index) = columns.iter().position(|column| column.name == name.text) else {
                let message = format!("{clause} column \"{}\" not referenced by COPY", name.text);
                return Err(Error::new(SqlState::INVALID_COLUMN_REFERENCE, message)
                    .hint_near_miss(name.text, columns.iter().map(|column| &*column.name))
                    .at(name.position()));
            };
            flags[index] = true;
        }
    }
    Ok(())
}
