//! Where seed code sheets go: to a printer through a pipe, or each into a file that only its owner can read.

use anyhow::{Context, bail, ensure};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use ykt_crypto::{CardKey, Key16};
use ykt_vault::ceremony::{Sheet, SheetKind, SheetStyle};
use ykt_vault::{DEMO_TRANSPORT_KEY, DeskKeys, KeyAddress, KeyKind, KeyRef, KeysFile};

/// Where sheets go.
#[derive(Debug, Clone, clap::Args)]
pub struct Paper {
    /// Print each sheet with this command, which gets the page (HTML) through a pipe; nothing touches the disk. Use a
    /// printer at this machine, without a spool that others read
    #[arg(long, value_name = "COMMAND", conflicts_with = "sheets")]
    print: Option<String>,
    /// Write each sheet into a file of its own in this folder, readable by its owner only
    #[arg(long, value_name = "DIR")]
    sheets: Option<PathBuf>,
    /// Key file with the transport key (card-transport) of the blank component cards; without it they are this program's
    /// own
    #[arg(long, value_name = "FILE")]
    card_keys: Option<PathBuf>,
}

impl Paper {
    /// Whether there is a way for sheets.
    pub const fn is_there(&self) -> bool {
        self.print.is_some() || self.sheets.is_some()
    }

    /// The transport key of this program's own blank cards.
    pub const fn own_transport() -> Key16 {
        Key16::from_bytes(DEMO_TRANSPORT_KEY)
    }

    /// Sees before the ceremony that sheets will have a place.
    ///
    /// # Errors
    /// When there is no such folder, or the key file of the blank cards has no such key.
    pub fn is_ready(&self) -> anyhow::Result<()> {
        if let Some(folder) = self.sheets.as_ref().filter(|folder| !folder.is_dir()) {
            bail!("--sheets {}: there is no such folder; make it first", folder.display());
        }
        self.transport().map(drop)
    }

    /// The transport key of the blank component cards.
    ///
    /// # Errors
    /// When the key file cannot be read, or has none.
    pub fn transport(&self) -> anyhow::Result<Key16> {
        let Some(path) = &self.card_keys else { return Ok(Paper::own_transport()) };
        let keys = DeskKeys::from_keys(KeysFile::read(path)?)?;
        let address = KeyAddress::Shared(KeyRef::new(KeyKind::CardTransport, 1, 1));
        match keys.key(&address).with_context(|| format!("key file {}", path.display()))? {
            CardKey::Tdes(key) => Ok(key),
            _ => bail!("key file {}: the transport key of component cards is one of 3DES", path.display()),
        }
    }

    /// Puts one sheet out; answers in words where it is. What a print command says on its standard output is not shown:
    /// it might be the sheet.
    ///
    /// # Errors
    /// When there is no way for sheets, the command fails, or the file is there already. Nothing is left of a file that
    /// was not written whole.
    pub fn put_out(&self, sheet: &Sheet) -> anyhow::Result<String> {
        let page = sheet.html(SheetStyle::Inside);
        match (&self.print, &self.sheets) {
            (Some(command), _) => {
                let child = Command::new("sh")
                    .args(["-c", command])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::null())
                    .spawn();
                let mut child = child.with_context(|| format!("print command `{command}`"))?;
                let written = child.stdin.take().map(|mut pipe| pipe.write_all(page.as_bytes()));
                let status = child.wait().with_context(|| format!("print command `{command}`"))?;
                ensure!(status.success(), "print command `{command}`: {status}");
                written.transpose().with_context(|| format!("print command `{command}`"))?;
                Ok("printed / 已打印".to_owned())
            }
            (None, Some(folder)) => {
                let path = file_of(folder, sheet);
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                let file = options.open(&path);
                let mut file = file.with_context(|| format!("sheet {}", path.display()))?;
                let written = file.write_all(page.as_bytes()).and_then(|()| file.sync_all());
                if let Err(error) = written {
                    std::fs::remove_file(&path).with_context(|| format!("sheet {}", path.display()))?;
                    bail!("sheet {}: {error}", path.display());
                }
                Ok(path.display().to_string())
            }
            (None, None) => bail!("say where sheets go: --print COMMAND or --sheets DIR"),
        }
    }

    /// Takes a sheet back that was not good, before another try.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn take_back(&self, sheet: &Sheet) -> anyhow::Result<()> {
        let Some(folder) = &self.sheets else { return Ok(()) };
        let path = file_of(folder, sheet);
        if path.exists() {
            std::fs::remove_file(&path).with_context(|| format!("sheet {}", path.display()))?;
        }
        Ok(())
    }
}

fn file_of(folder: &Path, sheet: &Sheet) -> PathBuf {
    let kind = match sheet.kind() {
        SheetKind::Component => "component",
        SheetKind::Share { .. } => "share",
    };
    folder.join(format!("{}-{kind}-{}.html", sheet.number(), sheet.position()))
}
