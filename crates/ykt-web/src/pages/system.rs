//! The state of the system for people: version, data, the books' proof, who is signed in.

use crate::health::{self, Health};
use crate::layers::render;
use crate::problem::Problem;
use crate::view::frame::Frame;
use crate::web::{Asked, Shared};
use askama::Template;
use axum::extract::State;
use axum::response::Html;
use std::sync::Arc;
use ykt_office::cards;
use ykt_office::people::{self, Permission, SessionRow};

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage {
    f: Frame,
    health: Health,
    cards: u32,
    data: String,
    listen: String,
    tls: bool,
    sessions: Option<Vec<SessionRow>>,
    /// Cards and entries may be looked at.
    reads: bool,
}

/// The page.
pub(crate) async fn page(State(shared): State<Arc<Shared>>, asked: Asked) -> Result<Html<String>, Problem> {
    let sees_people = asked.signed.who.role.may(Permission::ManagePeople);
    let reads = asked.signed.who.role.may(Permission::ReadBusiness);
    let (health, cards, sessions) = shared
        .read(move |tx| {
            let sessions = if sees_people { Some(people::sessions(tx)?) } else { None };
            Ok((health::read(tx)?, cards::count(tx)?, sessions))
        })
        .await?;
    let f = asked.frame(&shared, asked.prefs.lang.t("nav.state"), "/system");
    let config = &shared.config;
    let (data, listen) = (config.data.display().to_string(), config.server.listen.to_string());
    render(&SystemPage { f, health, cards, data, listen, tls: config.tls(), sessions, reads })
}
