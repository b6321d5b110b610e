//! Databases from outside: made, used, reopened, crashed.
