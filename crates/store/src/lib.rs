//! Every database, object store and file that scry owns. Floor 2: the only room that writes to disk for itself.
//!
//! | module | what lives there | who uses it |
//! |---|---|---|
//! | [`elastic`] | the queue for input that a process does not take | node, client |
//! | [`keys`] | key files and the layout of the directories | all |
//! | [`spool`] | recordings on a node until auth has them | node |
//! | [`outbox`] | events for the ledger until auth has them | node |
//! | [`mod@file`] | a file as a source of a recording | node, client |
//! | [`disk`] | how much is free; ballast | auth |
//! | [`intake`] | recordings that arrive at auth, and the final store | auth |
//! | [`tables`] | the database | auth |

pub mod disk;
pub mod elastic;
pub mod file;
mod hex;
pub mod intake;
pub mod keys;
pub mod outbox;
pub mod spool;
pub mod tables;
pub mod watched;
