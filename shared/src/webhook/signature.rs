//! Signature schemes of webhook senders.
