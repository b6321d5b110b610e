//! CREATE VIEW.

use crate::catalog::snapshot::{CatalogSnapshot, Relation};
use crate::catalog::view_definition::ViewDefinition;
use crate::common::ids::ObjectId;
use crate::common::sync::Arc;
use crate::error::{Error, Result, SqlState};
use crate::session::block::Block;
use crate::session::definition::duplicate_relation;
use crate::session::session::Session;
use crate::sql::binder::bound::CreateView;

impl Session {
    pub(crate) fn create_view(
        &mut self,
        create: CreateView,
        base: &CatalogSnapshot,
        block: &mut Block,
    ) -> Result<()> {
        let schema = Some(create.schema.as_str());
        base.check_schema(schema).map_err(|error| error.at(create.position))?;
        let old = match base.relation(schema, &create.name) {
            Some(Relation::View(old)) if create.or_replace => Some(old),
            Some(_) if create.or_replace => {
                return Err(Error::new(
                    SqlState::WRONG_OBJECT_TYPE,
                    format!("\"{}\" is not a view", create.name),
                )
                .at(create.position));
            }
            None if !base.is_name_taken(schema, &create.name) => None,
            _ => return Err(duplicate_relation(&create.name).at(create.position)),
        };
        if let Some(old) = &old {
            check_replacement(&create, old, base).map_err(|error| error.at_if_unset(create.position))?;
        }
        let transaction = &mut block.transaction;
        transaction.start_statement()?;
        let id = match &old {
            Some(old) => old.id,
            None => self.engine.catalog.next_object_id(transaction)?,
        };
        let (columns, types) = create.columns.into_iter().unzip();
        let view = ViewDefinition {
            id,
            schema: create.schema,
            name: create.name,
            columns,
            types,
            query: create.query,
            dependencies: create.dependencies,
        };
        self.engine.catalog.write_view(transaction, &view)?;
        block.catalog = Some(Arc::new(base.with_view(Arc::new(view))));
        block.transaction.next_command();
        Ok(())
    }
}

/// What reads a view must not notice that it was replaced: its columns stay the first ones.
fn check_replacement(create: &CreateView, old: &ViewDefinition, base: &CatalogSnapshot) -> Result<()> {
    let refused = |message: String| Error::new(SqlState::INVALID_TABLE_DEFINITION, message);
    if create.columns.len() < old.columns.len() {
        return Err(refused(String::from("cannot drop columns from view")));
    }
    for ((old_name, old_type), (name, sql_type)) in old.columns.iter().zip(&old.types).zip(&create.columns) {
        if name != old_name {
            return Err(refused(format!("cannot change name of view column \"{old_name}\" to \"{name}\"")));
        }
        if sql_type != old_type {
            return Err(refused(format!(
                "cannot change data type of view column \"{name}\" from {old_type} to {sql_type}"
            )));
        }
    }
    if reads(&create.dependencies, old.id, base) {
        return Err(Error::new(
            SqlState::INVALID_OBJECT_DEFINITION,
            format!("infinite recursion detected in rules for relation \"{}\"", old.name),
        ));
    }
    Ok(())
}

/// Whether one of `dependencies`, or a view among them at any depth, is `wanted`.
fn reads(dependencies: &[ObjectId], wanted: ObjectId, base: &CatalogSnapshot) -> bool {
    let mut seen: Vec<ObjectId> = Vec::new();
    let mut open = dependencies.to_vec();
    while let Some(id) = open.pop() {
        if id == wanted {
            return true;
        }
        if !seen.contains(&id) {
            seen.push(id);
            open.extend(base.views().filter(|view| view.id == id).flat_map(|view| &view.dependencies));
        }
    }
    false
}
