//! SQL text to tokens. Knows no grammar.
