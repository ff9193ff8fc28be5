//! Durable postings per second.

fn main() {}
