//! TLS to the database: what is verified, against which roots, at what cost.
