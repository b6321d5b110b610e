//! Plans as text: nested calls from the first input to the result, with columns by name.

use crate::sql::plan::expression::{ColumnId, Expression, OutputColumn, SubqueryForm};
use crate::sql::plan::logical::{
    ConflictTarget, InitialForm, JoinKind, LockWait, LogicalPlan, OnConflict, Returning,
};
use crate::sql::types::data_type::DataType;
use crate::sql::types::datum::Datum;
use std::collections::BTreeMap;

/// Prints plans with columns by name: `name`, or `name'` for a later column of the same name.
#[derive(Default)]
pub(in crate::sql) struct Printer {
    names: BTreeMap<ColumnId, String>,
}

impl Printer {
    fn define(&mut self, columns: &[OutputColumn]) -> String {
        let mut list = Vec::new();
        for column in columns {
            let mut name = column.name.clone();
            while self.names.iter().any(|(id, known)| *known == name && *id != column.id) {
                name.push('\'');
            }
            list.push(name.clone());
            self.names.insert(column.id, name);
        }
        list.join(", ")
    }

    fn expression(&self, expression: &Expression) -> String {
        let list = |expressions: &[Expression], separator: &str| {
            expressions.iter().map(|one| self.expression(one)).collect::<Vec<_>>().join(separator)
        };
        match expression {
            Expression::Constant { value, data_type } => datum(value, *data_type),
            Expression::Column { id, .. } => self.names.get(id).cloned().unwrap_or(format!("?{}", id.0)),
            Expression::Input { index, .. } => format!("#{index}"),
            Expression::Parameter { index, data_type } => format!("${}:{}", index + 1, data_type.name()),
            Expression::Call { function, arguments, .. } => match arguments.as_slice() {
                [left, right] if !function.name.starts_with(char::is_alphabetic) => {
                    format!("({} {} {})", self.expression(left), function.name, self.expression(right))
                }
                _ => format!("{}({})", function.name, list(arguments, ", ")),
            },
            Expression::Cast { input, target, explicit, .. } => {
                format!("{}{}{target}", self.expression(input), if *explicit { "::" } else { ":" })
            }
            Expression::And(operands) => format!("({})", list(operands, " AND ")),
            Expression::Or(operands) => format!("({})", list(operands, " OR ")),
            Expression::Not(input) => format!("NOT {}", self.expression(input)),
            Expression::IsNull { input, negated } => {
                format!("{} IS {}NULL", self.expression(input), if *negated { "NOT " } else { "" })
            }
            Expression::IsTruth { input, truth, negated } => {
                format!("{} IS {}{truth}", self.expression(input), if *negated { "NOT " } else { "" })
            }
            Expression::IsDistinct { left, right, negated } => format!(
                "{} IS {}DISTINCT FROM {}",
                self.expression(left),
                if *negated { "NOT " } else { "" },
                self.expression(right)
            ),
            Expression::Case { branches, otherwise, .. } => {
                let mut text = "CASE".to_owned();
                for (condition, result) in branches {
                    text += &format!(" WHEN {} THEN {}", self.expression(condition), self.expression(result));
                }
                if let Some(otherwise) = otherwise {
                    text += &format!(" ELSE {}", self.expression(otherwise));
                }
                text + " END"
            }
            Expression::Coalesce { arguments, .. } => format!("coalesce({})", list(arguments, ", ")),
            Expression::NullIf { left, right, equal } => format!(
                "nullif({}, {} by {})",
                self.expression(left),
                self.expression(right),
                self.expression(equal)
            ),
            Expression::InSet { input, values, has_null, negated } => {
                let values: Vec<String> =
                    values.iter().map(|value| datum(value, DataType::Unknown)).collect();
                format!(
                    "{} {}IN {{{}{}}}",
                    self.expression(input),
                    if *negated { "NOT " } else { "" },
                    values.join(" "),
                    if *has_null { " NULL" } else { "" }
                )
            }
            Expression::Subquery(subquery) => {
                // A printer of its own names the query's columns; those of outside keep their names.
                let mut inner = Printer { names: self.names.clone() };
                let plan = inner.plan(&subquery.plan);
                match &subquery.form {
                    SubqueryForm::Scalar { .. } => format!("<{plan}>"),
                    SubqueryForm::Exists => format!("exists <{plan}>"),
                    SubqueryForm::Any { test } => format!("any {} <{plan}>", inner.expression(test)),
                }
            }
        }
    }

    fn list(&self, expressions: &[Expression]) -> String {
        expressions.iter().map(|one| self.expression(one)).collect::<Vec<_>>().join(", ")
    }

    fn conflict(&self, conflict: &OnConflict) -> String {
        let mut inner = Printer { names: self.names.clone() };
        let target = match &conflict.target {
            ConflictTarget::Any => String::new(),
            ConflictTarget::Constraint { index } => format!(" constraint {index:?}"),
            ConflictTarget::Keys { columns, keys, predicate } => {
                inner.define(columns);
                let keys: Vec<String> = keys.iter().map(|key| inner.expression(key)).collect();
                let filter = predicate.as_ref().map(|one| format!(" where {}", inner.expression(one)));
                format!(" ({}){}", keys.join(", "), filter.unwrap_or_default())
            }
        };
        let action = match &conflict.update {
            None => String::from("nothing"),
            Some(update) => {
                inner.define(&update.existing_columns);
                inner.define(&update.excluded_columns);
                format!("update {:?} <{}>", update.columns, inner.plan(&update.values))
            }
        };
        format!(" conflict{target} do {action}")
    }

    fn returning(&mut self, returning: &Option<Returning>) -> String {
        match returning {
            None => String::new(),
            Some(returning) => {
                let expressions = self.list(&returning.expressions);
                let columns: Vec<&str> = returning.columns.iter().map(|column| &*column.name).collect();
                format!(" returning [{expressions}] as [{}]", columns.join(", "))
            }
        }
    }

    pub(in crate::sql) fn plan(&mut self, plan: &LogicalPlan) -> String {
        match plan {
            LogicalPlan::Scan { table, columns, .. } => {
                self.define(columns);
                format!("scan {}", table.name)
            }
            LogicalPlan::Values { rows, columns } => {
                let rows: Vec<String> = rows.iter().map(|row| format!("({})", self.list(row))).collect();
                self.define(columns);
                format!("values {}", rows.join(", "))
            }
            LogicalPlan::Filter { input, predicate } => {
                let input = self.plan(input);
                format!("{input} | filter {}", self.expression(predicate))
            }
            LogicalPlan::Project { input, expressions, columns } => {
                let input = self.plan(input);
                let expressions = self.list(expressions);
                let names: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
                self.define(columns);
                format!("{input} | project [{expressions}] as [{}]", names.join(", "))
            }
            LogicalPlan::Aggregate { input, groups, group_columns, aggregates } => {
                let input = self.plan(input);
                let groups = self.list(groups);
                let calls: Vec<String> = aggregates
                    .iter()
                    .map(|call| {
                        let filter = call.filter.as_ref();
                        format!(
                            "{}({}{}){}",
                            call.function.name,
                            if call.distinct { "distinct " } else { "" },
                            self.list(&call.arguments),
                            filter.map_or(String::new(), |one| format!(" where {}", self.expression(one)))
                        )
                    })
                    .collect();
                self.define(group_columns);
                for call in aggregates {
                    self.define(std::slice::from_ref(&call.output));
                }
                format!("{input} | group [{groups}] [{}]", calls.join(", "))
            }
            LogicalPlan::Distinct { input } => format!("{} | distinct", self.plan(input)),
            LogicalPlan::Sort { input, keys } => {
                let input = self.plan(input);
                let keys: Vec<String> = keys
                    .iter()
                    .map(|key| {
                        format!(
                            "{}{}{}",
                            self.expression(&key.expression),
                            if key.descending { " desc" } else { "" },
                            if key.nulls_first == key.descending { "" } else { " nulls!" }
                        )
                    })
                    .collect();
                format!("{input} | sort {}", keys.join(", "))
            }
            LogicalPlan::Limit { input, limit, offset, .. } => {
                let input = self.plan(input);
                let limit = limit.as_ref().map_or("all".to_owned(), |one| self.expression(one));
                let offset = offset.as_ref().map_or("0".to_owned(), |one| self.expression(one));
                format!("{input} | limit {limit} offset {offset}")
            }
            LogicalPlan::LockRows { input, targets, .. } => {
                let input = self.plan(input);
                let locks: Vec<String> = targets
                    .iter()
                    .map(|target| {
                        let wait = match target.wait {
                            LockWait::Wait => "",
                            LockWait::Skip => " skip",
                            LockWait::Fail => " nowait",
                        };
                        format!("{} {}{wait}", target.table.name, target.strength.name())
                    })
                    .collect();
                format!("{input} | lock {}", locks.join(", "))
            }
            LogicalPlan::Insert { table, input, checks, new_columns, returning, conflict, .. } => {
                let input = self.plan(input);
                let conflict = conflict.as_deref().map_or(String::new(), |conflict| self.conflict(conflict));
                self.names.clear();
                self.define(new_columns);
                let checks: Vec<String> = checks
                    .iter()
                    .map(|check| format!(" check {} {}", check.name, self.expression(&check.condition)))
                    .collect();
                let returning = self.returning(returning);
                format!("{input} | insert {}{}{conflict}{returning}", table.name, checks.concat())
            }
            LogicalPlan::Update { table, input, assignments, checks, new_columns, returning, .. } => {
                let input = self.plan(input);
                let set: Vec<String> = assignments
                    .iter()
                    .map(|(column, value)| {
                        format!("{} = {}", table.columns[*column].name, self.expression(value))
                    })
                    .collect();
                self.names.clear();
                self.define(new_columns);
                let checks: Vec<String> = checks
                    .iter()
                    .map(|check| format!(" check {} {}", check.name, self.expression(&check.condition)))
                    .collect();
                let returning = self.returning(returning);
                format!(
                    "{input} | update {} set {}{}{returning}",
                    table.name,
                    set.join(", "),
                    checks.concat()
                )
            }
            LogicalPlan::Delete { table, input, returning, .. } => {
                let input = self.plan(input);
                let returning = self.returning(returning);
                format!("{input} | delete {}{returning}", table.name)
            }
            LogicalPlan::Join { kind, left, right, condition } => {
                let left = self.plan(left);
                let right = self.plan(right);
                let kind = match kind {
                    JoinKind::Inner => "inner",
                    JoinKind::Left => "left",
                    JoinKind::Right => "right",
                    JoinKind::Full => "full",
                    JoinKind::Semi => "semi",
                    JoinKind::Anti => "anti",
                    JoinKind::Single => "single",
                    JoinKind::Mark(column) => {
                        self.define(std::slice::from_ref(column));
                        "mark"
                    }
                };
                let condition = condition.as_ref();
                let condition =
                    condition.map_or(String::new(), |one| format!(" on {}", self.expression(one)));
                format!("({left} {kind} join {right}{condition})")
            }
            LogicalPlan::Append { inputs, columns } => {
                let inputs: Vec<String> = inputs.iter().map(|input| self.plan(input)).collect();
                self.define(columns);
                format!("append ({})", inputs.join("; "))
            }
            LogicalPlan::SetOperation { kind, all, left, right, columns } => {
                let (left, right) = (self.plan(left), self.plan(right));
                self.define(columns);
                let all = if *all { " all" } else { "" };
                format!("({left} {kind:?}{all} {right})")
            }
            LogicalPlan::With { name, definition, input, materialized, .. } => {
                let definition = self.plan(definition);
                let hint = match materialized {
                    Some(true) => " materialized",
                    Some(false) => " not materialized",
                    None => "",
                };
                format!("with {name}{hint} as ({definition}) {}", self.plan(input))
            }
            LogicalPlan::CommonScan { name, columns, .. } => {
                self.define(columns);
                format!("common {name}")
            }
            LogicalPlan::RecursiveUnion { all, initial, recursive, columns, .. } => {
                let (initial, recursive) = (self.plan(initial), self.plan(recursive));
                self.define(columns);
                format!("recursive{} ({initial}; {recursive})", if *all { " all" } else { "" })
            }
            LogicalPlan::TableFunction { function, arguments, columns, ordinality, .. } => {
                let arguments = self.list(arguments);
                self.define(columns);
                let ordinality = if *ordinality { " numbered" } else { "" };
                format!("{}({arguments}){ordinality}", function.name)
            }
            LogicalPlan::DistinctOn { input, keys } => {
                format!("{} | distinct on {}", self.plan(input), self.list(keys))
            }
            LogicalPlan::Supplied { columns } => {
                self.define(columns);
                "supplied".to_owned()
            }
            LogicalPlan::Initial { queries, input } => {
                let mut text = String::new();
                for query in queries {
                    let mut inner = Printer { names: self.names.clone() };
                    let exists = if query.form == InitialForm::Exists { "exists " } else { "" };
                    text += &format!("${} = {exists}<{}>; ", query.parameter + 1, inner.plan(&query.plan));
                }
                text + &self.plan(input)
            }
        }
    }
}

fn datum(value: &Datum, data_type: DataType) -> String {
    match value {
        Datum::Null if data_type == DataType::Unknown => "NULL".to_owned(),
        Datum::Null => format!("NULL:{}", data_type.name()),
        Datum::Boolean(value) => value.to_string(),
        Datum::SmallInt(value) => format!("{value}s"),
        Datum::Integer(value) => value.to_string(),
        Datum::BigInt(value) => format!("{value}l"),
        Datum::Double(value) => format!("{value}d"),
        Datum::Numeric(value) => format!("{}e-{}", value.mantissa, value.scale),
        Datum::Text(value) => format!("'{value}'"),
        Datum::Date(days) => format!("date({days})"),
        other => format!("{other:?}"),
    }
}
