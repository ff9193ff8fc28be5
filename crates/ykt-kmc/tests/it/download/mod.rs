//! Key download: lines with cards before a centre with keys.

mod additions;
mod batches;
mod breaks;
mod flow;
mod refusals;
mod world;
