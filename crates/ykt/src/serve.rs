//! `ykt serve`: the consoles and the API over a data directory, until it is told to stop.

use crate::installation::{self, Place};
use crate::interrupt;
use crate::machine::{SystemClock, SystemRng};
use clap::Args as ClapArgs;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use ykt_base::Rng;
use ykt_kmc::Centre;
use ykt_store::Store;
use ykt_vault::Vault;
use ykt_web::{App, Server};

/// Serve the consoles and the API of a data directory
///
/// HTTP on the loopback address by default; TLS, other addresses, the vault and the machines that may call the
/// API are set in the configuration file. The first user is added with `ykt user add`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  ykt serve --data ./data\n  ykt serve --config ykt.toml\n  ykt serve --print-config > ykt.toml"
)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Address and port, in place of the configured ones
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// Print a commented configuration with every key, and stop
    #[arg(long)]
    print_config: bool,
}

/// Runs the command.
///
/// # Errors
/// When the configuration, the data directory or the vault cannot be used, or the server breaks down.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if args.print_config {
        print!("{}", ykt_web::config::EXAMPLE);
        return Ok(ExitCode::SUCCESS);
    }
    let mut config = args.place.config()?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    config.check()?;
    let store = installation::open_store(&config)?;
    let vaults = installation::open_logged_vault(&config, &store)?;
    if vaults.is_none() {
        eprintln!("no vault is configured: no card can be loaded");
    }
    installation::refuse_demonstration(&config, &store, vaults.as_ref())?;
    let centre = vaults.map(|vaults| installation::centre(&store, &vaults)).transpose()?;
    centre.as_ref().map(installation::begin).transpose()?;
    let server = Server::bind(config, app(store, centre))?;
    if let Some(address) = server.download_address() {
        eprintln!("key download for lines on https://{address}");
    }
    eprintln!("serving on {}; stop with Ctrl-C", server.url());
    serve(server)?;
    Ok(ExitCode::SUCCESS)
}

/// The application over a store and perhaps the centre of its keys, with this machine's clock and randomness.
#[must_use]
pub fn app(store: Store, centre: Option<Centre>) -> App {
    let rng = || Box::new(SystemRng) as Box<dyn Rng>;
    let vault = centre.as_ref().map(|centre| Arc::clone(&centre.vault) as Arc<dyn Vault>);
    App { store, vault, centre: centre.map(Arc::new), clock: Arc::new(SystemClock), rng: Arc::new(rng) }
}

/// Serves until Ctrl-C or a request to terminate.
///
/// # Errors
/// When the server breaks down.
pub fn serve(server: Server) -> anyhow::Result<()> {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .with_writer(std::io::stderr)
        .try_init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let mut stop = Some(stop);
    interrupt::does(move || {
        if let Some(stop) = stop.take() {
            // The server may have ended by itself; then nobody listens.
            let _ = stop.send(());
        }
    })?;
    runtime.block_on(server.run(async move {
        let _ = stopped.await;
    }))?;
    Ok(())
}
