//! `ykt serve`: the consoles and the API over a data directory, until it is told to stop.

use crate::machine::{SystemClock, SystemRng};
use anyhow::{Context, bail};
use clap::Args as ClapArgs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use ykt_base::Rng;
use ykt_city::city::MODULES;
use ykt_office::people::{DEMO_PASSWORD, People, SignInRules};
use ykt_store::Store;
use ykt_vault::{Origin, SoftVault, Vault};
use ykt_web::{App, Config, Environment, Server};

/// Serve the consoles and the API of a data directory
///
/// HTTP on the loopback address by default; TLS, other addresses, the vault and the machines that may call the
/// API are set in the configuration file. The first user is added with `ykt user add`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  ykt serve --data ./data\n  ykt serve --config ykt.toml\n  ykt serve --print-config > ykt.toml"
)]
pub struct Args {
    /// Configuration file (TOML); `--print-config` shows one with every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory, in place of the configured one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
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
    let mut config = Config::load(args.config.as_deref())?;
    if let Some(data) = &args.data {
        config.data.clone_from(data);
    }
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    config.check()?;
    let store = Store::open(&config.data, MODULES)?;
    let vault = open_vault(&config)?;
    if config.environment == Environment::Production {
        refuse_demonstration(&store, vault.as_ref())?;
    }
    let server = Server::bind(config, app(store, vault.map(|vault| Arc::new(vault) as Arc<dyn Vault>)))?;
    eprintln!("serving on {}; stop with Ctrl-C", server.url());
    serve(server)?;
    Ok(ExitCode::SUCCESS)
}

/// The application over a store and perhaps a vault, with this machine's clock and randomness.
#[must_use]
pub fn app(store: Store, vault: Option<Arc<dyn Vault>>) -> App {
    let rng = || Box::new(SystemRng) as Box<dyn Rng>;
    App { store, vault, clock: Arc::new(SystemClock), rng: Arc::new(rng) }
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
    ctrlc::set_handler(move || {
        if let Some(stop) = stop.take() {
            // The server may have ended by itself; then nobody listens.
            let _ = stop.send(());
        }
    })
    .context("listening for the signal to stop")?;
    runtime.block_on(server.run(async move {
        let _ = stopped.await;
    }))?;
    Ok(())
}

/// The sealed vault, when there is one. Without a vault everything can be looked at, but no card be loaded.
fn open_vault(config: &Config) -> anyhow::Result<Option<SoftVault>> {
    let file = config.vault_file();
    let Some(passphrase) = config.vault_passphrase()? else {
        if config.vault.file.is_some() {
            bail!(
                "the vault {} needs its passphrase: set vault.passphrase_file or YKT_VAULT_PASSPHRASE",
                file.display()
            );
        }
        eprintln!("no vault passphrase is configured: no card can be loaded");
        return Ok(None);
    };
    Ok(Some(SoftVault::open(&file, &passphrase)?))
}

/// Real money is not kept by keys and passwords that the whole world knows.
fn refuse_demonstration(store: &Store, vault: Option<&SoftVault>) -> anyhow::Result<()> {
    if vault.is_some_and(|vault| vault.status().origin == Origin::Demo) {
        bail!(
            "environment = \"production\" refuses this vault: its keys are demonstration keys; make a new vault"
        );
    }
    let people = People::new(store.clone(), SignInRules::default(), &mut SystemRng)?;
    let open = people.with_demo_password()?;
    if !open.is_empty() {
        bail!(
            "environment = \"production\" refuses to start: {} can sign in with the demonstration password ({} \
             characters, printed by `ykt demo`); change it or disable them",
            open.join(", "),
            DEMO_PASSWORD.len()
        );
    }
    Ok(())
}
