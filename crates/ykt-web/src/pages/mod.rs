//! Pages that are more than a list, one file per task.

pub mod entry;
pub mod system;
