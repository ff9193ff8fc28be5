//! `ykt vault serve`: lends a vault to other processes and machines, so that they need no key in their memory.

use super::opening::Which;
use crate::interrupt;
use crate::machine::SystemRng;
use anyhow::bail;
use clap::Args as ClapArgs;
use std::path::PathBuf;
use std::process::ExitCode;
use ykt_vault::remote::{Endpoint, Event, Server, Service};

/// Serve the vault to other processes (Unix socket) and machines (TLS)
///
/// Only the socket's owner can open it. Over TLS both sides show certificates, and each takes only those of its file;
/// no authority can make another one valid.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:\n  ykt vault serve --file keys.sealed --socket /run/ykt/vault.sock\n  \
                        ykt vault serve --config ykt.toml --listen 0.0.0.0:7443 --certificate vault.pem --key vault.key \
                        --peers centre.pem\n\nThe server names it in its configuration: [vault] backend = \"remote\".")]
pub struct Serve {
    #[command(flatten)]
    which: Which,
    /// A Unix socket to serve it on
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Address and port to serve it on with TLS; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", requires = "certificate")]
    listen: Option<String>,
}

impl Serve {
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let socket = self.socket.clone().map(Endpoint::Unix);
        let listen = match &self.listen {
            None => None,
            Some(address) => Some(Endpoint::parse(&format!("tls:{address}"), self.which.tls().files())?),
        };
        let endpoints: Vec<Endpoint> = socket.into_iter().chain(listen).collect();
        if endpoints.is_empty() {
            bail!("say where to serve it: --socket, --listen, or both");
        }
        let service = Service::new(self.which.open()?, || Box::new(SystemRng));
        let servers: Vec<Server> = endpoints.iter().map(Server::bind).collect::<Result<_, _>>()?;
        let stops: Vec<_> = servers.iter().map(Server::stop_handle).collect();
        interrupt::does(move || stops.iter().for_each(|stop| stop.stop()))?;
        for server in &servers {
            eprintln!("the vault is served at {}; stop with Ctrl-C", server.address());
        }
        std::thread::scope(|scope| {
            for server in &servers {
                scope.spawn(|| server.serve(&service, &report));
            }
        });
        Ok(ExitCode::SUCCESS)
    }
}

fn report(event: Event) {
    match event {
        Event::Stranger { reason } => eprintln!("refused a stranger: {reason}"),
        Event::Crowded => eprintln!("closed a line at once: too many are open"),
        Event::Dropped { reason } => eprintln!("dropped a line: {reason}"),
        Event::Order { what, fate } => eprintln!("order: {what}: {fate}"),
    }
}
