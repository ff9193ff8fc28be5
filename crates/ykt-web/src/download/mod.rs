//! The key download service: JSON over HTTP/1.1 and TLS for personalisation lines and counters, on a listener of its
//! own. A line shows a client certificate of the configured authority, and the certificate says which line it is;
//! whoever shows none does not get through the handshake. What is allowed is decided below
//! ([`ykt_kmc::download`]); `docs/key-download.md` is the description for integrators.

mod calls;
mod tls;

use crate::config::{ConfigError, DownloadConfig};
use crate::problem::{Code, Problem};
use crate::server::ServeError;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum_server::Handle;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use ykt_base::Clock;
use ykt_issue::{Profile, ProfileError};
use ykt_kmc::download::Download;
use ykt_store::Store;
use ykt_vault::Vault;

/// Largest body of a call, in bytes: 256 cards with a block of a file each stay far below.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Largest file of a batch, in bytes.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What the calls share.
#[derive(Clone)]
pub(crate) struct Desk {
    download: Download,
    clock: Arc<dyn Clock + Send + Sync>,
}

/// The applications that lines may be given: what is shipped, and the profiles of the configuration, which go before.
///
/// # Errors
/// [`ProfileError`] of a file that is none.
pub fn applications(config: &DownloadConfig) -> Result<Vec<Profile>, ProfileError> {
    let own = config.profiles.iter().map(|path| Profile::read(path));
    Profile::shipped().chain(Profile::additions()).map(Ok).chain(own).collect()
}

/// A service that listens already and can say where.
pub struct DownloadServer {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: tls::LineAcceptor,
    router: Router,
}

impl DownloadServer {
    /// Reads certificates and listens; `None` when the configuration has no listener.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn bind(
        config: &DownloadConfig,
        store: &Store,
        vault: Option<&Arc<dyn Vault>>,
        clock: &Arc<dyn Clock + Send + Sync>,
    ) -> Result<Option<DownloadServer>, ServeError> {
        let Some(listen) = config.listen else { return Ok(None) };
        let vault = vault.ok_or(ServeError::DownloadVault)?;
        let (Some(certificate), Some(key), Some(client_ca)) =
            (&config.certificate, &config.key, &config.client_ca)
        else {
            return Err(ConfigError::HalfDownload.into());
        };
        let acceptor = tls::LineAcceptor::new(certificate, key, client_ca).map_err(ServeError::Tls)?;
        let download = Download::new(store.clone(), Arc::clone(vault), applications(config)?);
        let failed = |source| ServeError::Listen { listen, source };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = router(Desk { download, clock: Arc::clone(clock) });
        Ok(Some(DownloadServer { listener, address, acceptor, router }))
    }

    /// The address the service listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `handle` is told to stop.
    ///
    /// # Errors
    /// [`ServeError::Run`].
    pub async fn run(self, handle: Handle<SocketAddr>) -> Result<(), ServeError> {
        let service = self.router.into_make_service_with_connect_info::<SocketAddr>();
        axum_server::from_tcp(self.listener)
            .map_err(ServeError::Run)?
            .acceptor(self.acceptor)
            .handle(handle)
            .serve(service)
            .await
            .map_err(ServeError::Run)
    }
}

fn router(desk: Desk) -> Router {
    let calls = Router::new()
        .route("/applications", get(calls::applications))
        .route("/cards", post(calls::open))
        .route("/commands", post(calls::commands))
        .route("/finish", post(calls::finish))
        .route("/visits", post(calls::begin_visit))
        .route("/visits/{visit}", post(calls::answer_visit))
        .route("/campaigns/{name}", get(calls::campaign))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .route(
            "/batches/{name}",
            get(calls::progress).post(calls::upload).layer(DefaultBodyLimit::max(BATCH_BYTES_MAX)),
        )
        .route("/batches/{name}/cards", get(calls::begun))
        .fallback(|| async { Problem::not_found("") })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed, "") });
    Router::new().nest("/download/v1", calls).fallback(|| async { Problem::not_found("") }).with_state(desk)
}
