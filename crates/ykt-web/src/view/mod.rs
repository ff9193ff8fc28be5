//! How things look: cells, tables, charts, the frame, and addresses.

pub mod cell;
pub mod chart;
pub mod detail;
pub mod frame;
pub mod table;
pub mod url;
