//! Flows of an interface while they go on: what is told of them, each second.
//!
//! `desk` takes what the reader hands over, `follow` makes records, findings and the table of it.

mod desk;
mod follow;
mod records;
mod table;
mod terminal;

pub use desk::Desk;
pub use follow::{Follow, Manner, losses};
pub use records::{Records, Rotation};
pub use table::{Colour, Order};
pub use terminal::{Terminal, Typed, Typing, read_keys};
