//! Going on to the newest checkpoint of a file that another process writes: at the start of a transaction, never inside.
//! Knows engines. Knows nothing of files.

use crate::common::sync::{Arc, Weak};
use crate::error::Result;
use crate::session::engine::{Engine, Generations};
use crate::session::prepared::{Body, Prepared};
use crate::session::session::Session;
use crate::sql::executor::point::PointScratch;
use crate::transaction::manager::ManagerReference;

/// What a session that reads beside a writer keeps.
#[derive(Debug)]
pub(crate) struct Following {
    generations: Arc<dyn Generations>,
    /// Statements that may hold on to what belongs to the engine they ran in last.
    prepared: Vec<Weak<Prepared>>,
}

impl Session {
    /// A session of the newest of these engines.
    /// # Errors
    /// As [`Generations::newest`].
    pub fn following(generations: Arc<dyn Generations>, id: u64) -> Result<Session> {
        let mut session = Session::new(generations.newest()?, id);
        session.following = Some(Following { generations, prepared: Vec::new() });
        Ok(session)
    }

    /// To be called before anything that may begin a transaction.
    #[inline]
    pub(crate) fn go_on(&mut self) -> Result<()> {
        match &self.following {
            Some(following) if self.block.is_none() && !self.failed && !self.has_open_queries() => {
                let newest = following.generations.newest()?;
                if !Arc::ptr_eq(&newest, &self.engine) {
                    self.use_engine(newest);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    #[cold]
    fn use_engine(&mut self, engine: Arc<Engine>) {
        self.engine.sessions.remove(&self.environment.presence);
        engine.sessions.add(&self.environment.presence);
        self.environment.use_engine(&engine);
        self.cache.clear();
        self.portals.clear();
        self.manager = ManagerReference::new(&engine.manager);
        self.engine = engine;
        // Their plans are made anew when they run; until then they shall not keep pages of the old one in memory.
        if let Some(following) = &mut self.following {
            following.prepared.retain(|prepared| {
                let Some(prepared) = prepared.upgrade() else { return false };
                if let Body::Query(plan) = &prepared.body {
                    plan.lock().scratch = PointScratch::default();
                }
                true
            });
        }
    }

    /// Notes a statement that was prepared.
    pub(crate) fn note_prepared(&mut self, prepared: &Arc<Prepared>) {
        if let Some(following) = &mut self.following {
            if following.prepared.len().is_power_of_two() {
                following.prepared.retain(|prepared| prepared.strong_count() > 0);
            }
            following.prepared.push(Arc::downgrade(prepared));
        }
    }
}
