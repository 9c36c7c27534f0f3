//! Every integration test, as one binary: it links once and shares one PostgreSQL.

mod symbol;
