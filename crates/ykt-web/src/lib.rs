//! The consoles and the HTTP API of the city card.
//!
//! Actors: a person with a browser (pages made on the server, readable without script), a machine with a
//! bearer token (`/api/v1`), and whoever watches the health of the process (`/healthz`, `/metrics`). Nothing
//! is decided here: every page and answer is made from the query functions of the rooms below, and a list is
//! described once ([`list::List`]) for page, export and API alike.

mod act;
mod api;
pub mod assets;
mod auth;
mod checkpoints;
pub mod config;
pub mod download;
pub mod export;
mod health;
pub mod i18n;
mod layers;
pub mod list;
pub mod lists;
pub mod metrics;
mod pages;
pub mod problem;
pub mod rate;
mod server;
pub mod tokens;
mod verified;
pub mod view;
mod web;
pub mod words;

pub use api::document::openapi;
pub use config::{Config, ConfigError, Environment};
pub use server::{ServeError, Server, router};
pub use web::App;
