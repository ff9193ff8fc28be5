//! The routes, and the life of the server: bind, serve, stop without breaking off what runs.

use crate::auth::second_step;
use crate::config::{Config, ConfigError};
use crate::download::DownloadServer;
use crate::lists::all_lists;
use crate::metrics::Metrics;
use crate::problem::{Code, Problem};
use crate::rate::{Limiter, Rate};
use crate::tokens::Tokens;
use crate::verified::Verified;
use crate::web::{App, Shared};
use crate::{api, assets, auth, checkpoints, health, layers, pages};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use ykt_office::people::People;

/// Largest body of a request, in bytes: forms and load messages are small.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Attempts to sign in or to use a token that may follow each other from one address, and how they come back.
const ATTEMPTS: Rate = Rate { burst: 10, refill: Duration::from_secs(6) };

/// Why the server does not start or ended badly.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The settings contradict each other, or a secret cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {listen}: {source}; choose another address with server.listen")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("TLS certificate or key: {0}")]
    Tls(std::io::Error),
    /// Key download without keys.
    #[error("download.listen needs a vault: configure it, or leave download.listen out")]
    DownloadVault,
    /// A profile of key download is none.
    #[error("download.profiles: {0}")]
    DownloadProfile(#[from] ykt_issue::ProfileError),
    /// The sign-in rules cannot be used.
    #[error("sign-in: {0}")]
    People(#[from] ykt_office::people::HashError),
    /// The server broke down.
    #[error("the server ended: {0}")]
    Run(std::io::Error),
}

/// A server that listens already and can say where.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    download: Option<DownloadServer>,
    config: Config,
    app: App,
}

impl Server {
    /// Checks the settings, prepares everything and listens.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn bind(config: Config, app: App) -> Result<Server, ServeError> {
        config.check()?;
        let listen = config.server.listen;
        let download = DownloadServer::bind(&config.download, &app.store, app.vault.as_ref(), &app.clock)?;
        let router = router(config.clone(), app.clone())?;
        let failed = |source| ServeError::Listen { listen, source };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Server { listener, address, router, download, config, app })
    }

    /// The address the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address the key download service listens on, when there is one.
    #[must_use]
    pub fn download_address(&self) -> Option<SocketAddr> {
        self.download.as_ref().map(DownloadServer::address)
    }

    /// `http://127.0.0.1:8080` or alike, as people open it.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.config.tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Serves until `stop` is ready; then takes no more connections and gives running requests their time.
    ///
    /// # Errors
    /// [`ServeError::Tls`], [`ServeError::Run`].
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let handle = Handle::new();
        let grace = Duration::from_secs(self.config.server.stop_within_s.into());
        let lines = Handle::new();
        let stoppers = [handle.clone(), lines.clone()];
        tokio::spawn(async move {
            stop.await;
            tracing::info!("stopping; running requests get {} s", grace.as_secs());
            stoppers.iter().for_each(|stopper| stopper.graceful_shutdown(Some(grace)));
        });
        let keeping = tokio::spawn(checkpoints::keep(self.app));
        let lines = self.download.map(|download| tokio::spawn(download.run(lines)));
        let service = self.router.into_make_service_with_connect_info::<SocketAddr>();
        let served = match (&self.config.server.tls_certificate, &self.config.server.tls_key) {
            (Some(certificate), Some(key)) => {
                // Another part of the process may have chosen the provider already; ours is the same.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let tls = RustlsConfig::from_pem_file(certificate, key).await.map_err(ServeError::Tls)?;
                axum_server::from_tcp_rustls(self.listener, tls)
                    .map_err(ServeError::Run)?
                    .handle(handle)
                    .serve(service)
                    .await
            }
            _ => {
                axum_server::from_tcp(self.listener)
                    .map_err(ServeError::Run)?
                    .handle(handle)
                    .serve(service)
                    .await
            }
        }
        .map_err(ServeError::Run);
        keeping.abort();
        match lines {
            Some(lines) => served.and(lines.await.unwrap_or_else(|error| Err(ServeError::Run(error.into())))),
            None => served,
        }
    }
}

/// The whole server as a service, for tests and for [`Server`].
///
/// # Errors
/// [`ServeError`] when the sign-in rules or the tokens cannot be used.
pub fn router(config: Config, app: App) -> Result<Router, ServeError> {
    let people = People::new(app.store.clone(), config.sign_in_rules(), &mut *(app.rng)())?;
    let tokens = match &config.api.tokens_file {
        Some(path) => Tokens::read(path)?,
        None => Tokens::default(),
    };
    let shared = Arc::new(Shared {
        app,
        config,
        people,
        metrics: Metrics::default(),
        attempts: Limiter::new(ATTEMPTS),
        tokens,
        verified: Verified::default(),
    });
    let lists = all_lists();
    let pages = lists
        .iter()
        .fold(Router::new(), |pages, list| pages.merge((list.routes)()))
        .route("/entries/{*id}", get(pages::entry::page))
        .route("/", get(pages::today::page))
        .route("/search", get(pages::search::page))
        .route("/days/{day}", get(pages::day::page))
        .route("/files/{id}", get(pages::file::page))
        .route("/records/{number}", get(pages::record::page))
        .route("/bills/{day}/{merchant}", get(pages::bill::page))
        .route("/cards/{asn}", get(pages::card::page))
        .route("/terminals/{pos}", get(pages::terminal::page))
        .route("/merchants/{code}", get(pages::merchant::page))
        .route("/loads/{id}", get(pages::order::page))
        .route("/key-cards/{serial}", get(pages::production::key_card))
        .route("/psam-batches/{id}", get(pages::production::batch))
        .route("/psam-batches/{id}/labels", get(pages::production::labels))
        .route("/psam-batches/{id}/labels.csv", get(pages::production::labels_csv))
        .route("/psam-batches/{id}/protocol.txt", get(pages::production::protocol))
        .route("/audit/{seq}", get(pages::audit::record))
        .route(pages::audit::CHAIN, get(pages::audit::chain).post(pages::audit::sign))
        .route(pages::audit::VERIFY, post(pages::audit::verify))
        .route(pages::audit::EXPORT, get(pages::audit::export))
        .route(pages::person::NEW, get(pages::person::new_page).post(pages::person::add))
        .route("/users/{name}", get(pages::person::page))
        .route("/users/{name}/{act}", post(pages::person::change))
        .route(pages::key::NEW, get(pages::key::new_page).post(pages::key::add))
        .route("/keys/{place}", get(pages::key::page))
        .route("/keys/{place}/{act}", post(pages::key::change))
        .route(pages::derive::PATH, get(pages::derive::page).post(pages::derive::ask))
        .route(pages::import::PATH, get(pages::import::page).post(pages::import::look))
        .route(pages::import::ASK, post(pages::import::ask))
        .route(pages::group::NEW, get(pages::group::new_page).post(pages::group::add))
        .route("/key-groups/{name}", get(pages::group::page))
        .route("/key-groups/{name}/{act}", post(pages::group::change))
        .route(pages::ceremony::NEW, get(pages::ceremony::new_page).post(pages::ceremony::begin))
        .route("/ceremonies/{number}", get(pages::ceremony::page))
        .route("/ceremonies/{number}/protocol", get(pages::ceremony::protocol))
        .route("/ceremonies/{number}/{act}", post(pages::ceremony::step))
        .route("/key-requests/{id}", get(pages::key_request::page))
        .route("/key-requests/{id}/file", get(pages::key_request::file))
        .route("/key-requests/{id}/{act}", post(pages::key_request::decide))
        .route(pages::campaign::NEW, get(pages::campaign::new_page).post(pages::campaign::add))
        .route("/campaigns/{name}", get(pages::campaign::page))
        .route("/campaigns/{name}/{act}", post(pages::campaign::change))
        .route(pages::vault::PATH, get(pages::vault::page))
        .route("/vault/{act}", post(pages::vault::change))
        .route("/system", get(pages::system::page))
        .route("/account", get(auth::account_page).post(auth::change_password))
        .route("/sign-out", post(auth::sign_out))
        .fallback(|| async { Problem::not_found("") })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed, "") })
        .layer(from_fn(auth::signed_in))
        .merge(
            Router::new()
                .route("/sign-in", get(auth::sign_in_page).post(auth::sign_in))
                .route(second_step::CODE, get(second_step::code_page).post(second_step::enter_code))
                .route(second_step::ENROL, get(second_step::enrol_page).post(second_step::confirm)),
        )
        .layer(from_fn_with_state(Arc::clone(&shared), layers::refusals))
        .layer(from_fn_with_state(Arc::clone(&shared), layers::page))
        .layer(from_fn_with_state(Arc::clone(&shared), auth::session));
    let api = lists
        .iter()
        .fold(Router::new(), |api, list| api.merge((list.api)()))
        .merge(api::loads::routes())
        .fallback(|| async { Problem::not_found("") })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed, "") })
        .layer(from_fn_with_state(Arc::clone(&shared), layers::refusals))
        .layer(from_fn_with_state(Arc::clone(&shared), api::known))
        .layer(from_fn_with_state(Arc::clone(&shared), auth::session))
        .route("/openapi.json", get(api::document::serve));
    Ok(Router::new()
        .merge(pages)
        .nest("/api/v1", api)
        .route("/assets/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::icon))
        .route("/healthz", get(health::healthz))
        .route("/metrics", get(health::metrics))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Arc::clone(&shared), layers::observe))
        .with_state(shared))
}
