//! The key download service over TLS: lines with the right certificate get commands, nobody else gets anything.

mod counters;
mod lines;
mod papers;
