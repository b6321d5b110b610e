//! Bump allocation for trees that live as long as one statement's parse (the AST).

/// An arena: allocation is a pointer bump, everything is freed at once. Not for sharing between threads.
pub type Arena = bumpalo::Bump;

/// A vector that grows inside an [`Arena`].
pub type ArenaVec<'a, T> = bumpalo::collections::Vec<'a, T>;
