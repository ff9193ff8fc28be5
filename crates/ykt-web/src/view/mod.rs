//! How things look: cells, tables, charts, forms, the frame, and addresses.

pub mod cell;
pub mod chart;
pub mod detail;
pub(crate) mod form;
pub mod frame;
pub mod table;
pub mod url;
