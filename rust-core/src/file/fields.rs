//! A line cut into values.

/// The values of a line. What had no escapes lies in the line, the rest here.
#[derive(Debug, Default)]
pub struct Fields {
    fields: Vec<Field>,
    unescaped: String,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    place: Place,
    start: usize,
    end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Line,
    Unescaped,
    Null,
}

impl Fields {
    /// Forgets the last line.
    pub(super) fn clear(&mut self) {
        self.fields.clear();
        self.unescaped.clear();
    }

    /// Adds a piece of the line.
    pub(super) fn push_line(&mut self, start: usize, end: usize) {
        self.fields.push(Field { place: Place::Line, start, end });
    }

    /// Adds NULL.
    pub(super) fn push_null(&mut self) {
        self.fields.push(Field { place: Place::Null, start: 0, end: 0 });
    }

    /// Adds what `write` writes.
    /// # Errors
    /// Those of `write`.
    pub(super) fn push_unescaped<E>(
        &mut self,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.unescaped.len();
        write(&mut self.unescaped)?;
        self.fields.push(Field { place: Place::Unescaped, start, end: self.unescaped.len() });
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// A value of the line that was cut; `None`: NULL.
    pub fn get<'l>(&'l self, line: &'l str, index: usize) -> Option<&'l str> {
        let field = self.fields[index];
        match field.place {
            Place::Null => None,
            Place::Line => Some(&line[field.start..field.end]),
            Place::Unescaped => Some(&self.unescaped[field.start..field.end]),
        }
    }
}
