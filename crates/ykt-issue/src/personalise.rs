//! The making of a card or PSAM: one profile step after the other, each a command and its answer.
//!
//! The actors: the card, which has never seen a key in clear, and the vault, which makes each WRITE KEY and
//! each protected command from the card's own challenge. A wrong answer stops the work and names the step.

use crate::content::Holder;
use crate::profile::{Action, Content, NewApplication, NewCardKey, NewContent, Place, Preset, Profile, Spot};
use ykt_base::apdu::COMMAND_LEN_MAX;
use ykt_base::hex::Hex;
use ykt_base::{CardChannel, ChannelError, Command, KeyVersion, Response, StatusWord};
use ykt_crypto::sm;
use ykt_crypto::sm2::PublicKey;
use ykt_purse::Algorithm;
use ykt_purse::auth_code::AuthenticationCode;
use ykt_purse::command::{self, ChallengeLen};
use ykt_purse::create::{Access, CreateFile, NewFile, Protection, Switches};
use ykt_purse::key_card::{KeyCardHeader, KeyCardUsage};
use ykt_purse::token::KeyPairCommand;
use ykt_purse::write_key::{KeyForm, KeyHeader, KeyTarget, KeyUsage, Pin, SamKeyHeader};
use ykt_vault::{
    KeyAddress, KeyKind, KeyLayout, KeyRef, NewKey, PresetJob, Secrecy, SecureMessage, Vault, VaultError,
    WriteKeyJob,
};

/// A step that is about to be done, for those who show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Its number, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// What it is for.
    pub title: &'a str,
}

/// Why a card could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The card gave another status word than expected.
    #[error(
        "step {number} ({title}), command {command}: expected {expected}, found {found}; the card is not usable, \
         take a blank one and check that keys and profile belong to it"
    )]
    Answer {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// Header of the command.
        command: String,
        /// Status word wanted.
        expected: StatusWord,
        /// Status word that came.
        found: StatusWord,
    },
    /// The card gave no answer.
    #[error("step {number} ({title}), command {command}: no answer")]
    Silent {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// Header of the command.
        command: String,
        /// Why.
        source: ChannelError,
    },
    /// The card said yes with data that cannot be: a challenge of another length, no public key.
    #[error("step {number} ({title}), command {command}: expected {expected}, found {found} bytes")]
    Unreadable {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// Header of the command.
        command: String,
        /// What was wanted.
        expected: &'static str,
        /// Bytes that came.
        found: usize,
    },
    /// The vault has not the key, or not for this use.
    #[error("step {number} ({title}): the vault refused")]
    Vault {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// What the vault said.
        source: VaultError,
    },
    /// The profile asks for what cannot be.
    #[error("step {number} ({title}) of the profile: {what}")]
    Profile {
        /// Number of the step, from 1.
        number: usize,
        /// What it is for.
        title: String,
        /// What cannot be.
        what: &'static str,
    },
}

/// Does every step of the profile; returns the number of commands it took.
pub(crate) fn run(
    channel: &mut (impl CardChannel + ?Sized),
    vault: &dyn Vault,
    profile: &Profile,
    holder: &Holder<'_>,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<usize, IssueError> {
    let mut work = Work {
        channel,
        vault,
        profile,
        holder,
        number: 0,
        title: "",
        commands: 0,
        switches: profile.switches_of(MASTER_FILE),
        public: None,
    };
    if profile.kind != holder.kind() {
        return Err(work.profile("the profile is for the other sort of card"));
    }
    if let Some(preset) = &profile.preset {
        progress(work.begin("preset of the operator"));
        work.preset(preset)?;
    }
    for step in &profile.steps {
        progress(work.begin(&step.title));
        work.step(&step.action)?;
    }
    Ok(work.commands)
}

/// File id of the MF, whose commands follow the preset's switches.
const MASTER_FILE: [u8; 2] = [0x3F, 0x00];
/// Most bytes of one command of a longer content.
const BLOCK_LEN: usize = 208;

struct Work<'a, C: ?Sized> {
    channel: &'a mut C,
    vault: &'a dyn Vault,
    profile: &'a Profile,
    holder: &'a Holder<'a>,
    number: usize,
    title: &'a str,
    commands: usize,
    /// How the current directory differs from the default.
    switches: Switches,
    /// The key pair made last.
    public: Option<PublicKey>,
}

impl<'a, C: CardChannel + ?Sized> Work<'a, C> {
    fn begin(&mut self, title: &'a str) -> Progress<'a> {
        self.number = self.number.saturating_add(1);
        self.title = title;
        Progress { number: self.number, of: self.profile.steps_len(), title }
    }

    fn preset(&mut self, preset: &Preset) -> Result<(), IssueError> {
        let job = PresetJob {
            factory: self.profile.transport,
            transport: preset.transport,
            serial: self.holder.chip(),
            operator: preset.operator,
            system: preset.system,
            mf_create: preset.create,
            mf_switches: preset.switches,
            iv: self.iv()?,
        };
        let command = self.vault.preset(&job).map_err(|source| self.vault_fault(source))?;
        self.send_ok(command.as_bytes())
    }

    fn step(&mut self, action: &Action) -> Result<(), IssueError> {
        match action {
            Action::Select { fid } => {
                self.switches = self.profile.switches_of(*fid);
                self.send_plain(&command::select_file(fid)).map(drop)
            }
            Action::CreateApplication(new) => {
                let NewApplication { fid, aid, size, create, erase, app_id, switches } = new;
                let (size, create, erase, app_id, switches) = (*size, *create, *erase, *app_id, *switches);
                let file = NewFile::Application { size, create, erase, app_id, switches, name: aid };
                self.send_ok(CreateFile { fid: *fid, file }.to_apdu().as_bytes())
            }
            Action::Create(file) => self.send_ok(file.to_apdu().as_bytes()),
            Action::Authenticate { key, id } => {
                let challenge = self.challenge::<8>(ChallengeLen::Eight)?;
                let cryptogram = self.vault.external_authenticate(&self.address(*key)?, challenge);
                let cryptogram = cryptogram.map_err(|source| self.vault_fault(source))?;
                self.send_plain(&command::external_authenticate(*id, &cryptogram)).map(drop)
            }
            Action::WriteKey(new) => self.write_card_key(new),
            Action::WritePin { control, id, follow_up, tries } => {
                let pin = self.pin()?;
                let target = KeyTarget::Add { id: *id, usage: KeyUsage::Pin };
                let header = KeyHeader {
                    version: KeyVersion(0),
                    form: pin.form(),
                    usage: KeyUsage::Pin,
                    use_right: Access::ALWAYS,
                    follow_up: *follow_up,
                    change_right: Access::ALWAYS,
                    tries: *tries,
                };
                let layout = self.of_card(target, header);
                self.write_key(*control, NewKey::Pin(pin), layout)
            }
            Action::WriteSamKey { key, control, usage } => {
                let header =
                    SamKeyHeader { usage: *usage, version: key.version, algorithm: Algorithm::TripleDes };
                let new = self.key_above(*key, usage.levels())?;
                self.write_key(*control, new, KeyLayout::Sam { header })
            }
            Action::WriteKeyCardKey { key, control, usage } => {
                let levels = match usage {
                    KeyCardUsage::Issue(usage) => usage.levels(),
                    _ => 0,
                };
                let form = KeyForm::Key(Algorithm::TripleDes);
                let header = KeyCardHeader { usage: *usage, version: key.version, form };
                let new = self.key_above(*key, levels)?;
                self.write_key(*control, new, KeyLayout::KeyCard { header })
            }
            Action::WriteOperatorPin { control } => {
                let pin = self.pin()?;
                let (usage, version) = (KeyCardUsage::Pin, KeyVersion(0));
                let header = KeyCardHeader { usage, version, form: pin.form() };
                self.write_key(*control, NewKey::Pin(pin), KeyLayout::KeyCard { header })
            }
            Action::GenerateKeyPair { id } => {
                let command = KeyPairCommand::Generate(*id).to_apdu();
                let answer = self.send(&command)?;
                let public = answer.data().try_into().ok().and_then(PublicKey::from_bytes);
                let wanted = "a public key of 65 bytes";
                self.public = Some(public.ok_or_else(|| self.unreadable(&command, wanted, &answer))?);
                Ok(())
            }
            Action::Write(new) => self.write(new),
        }
    }

    fn write_card_key(&mut self, new: &NewCardKey) -> Result<(), IssueError> {
        let NewCardKey { key, control, id, place, use_right, follow_up, change_right, tries } = *new;
        let usage = key.kind.card_usage().ok_or_else(|| self.profile("no user card holds this key"))?;
        let header = KeyHeader {
            version: key.version,
            form: KeyForm::Key(Algorithm::TripleDes),
            usage,
            use_right,
            follow_up,
            change_right,
            tries,
        };
        let target = match place {
            Place::Added => KeyTarget::Add { id, usage },
            Place::Replaced => KeyTarget::Change { id, usage },
        };
        let layout = self.of_card(target, header);
        self.write_key(control, NewKey::Own(self.address(key)?), layout)
    }

    /// A user card's key as the current directory wants it.
    const fn of_card(&self, target: KeyTarget, header: KeyHeader) -> KeyLayout {
        KeyLayout::Card { family: self.switches.key_layout, target, header }
    }

    /// A key so many levels above the cards; at none it is the holder's own.
    fn key_above(&self, key: KeyRef, levels: u8) -> Result<NewKey<'static>, IssueError> {
        Ok(match levels {
            0 => NewKey::Own(self.address(key)?),
            _ => NewKey::Working { key, factor: self.holder.factor(self.profile.layout) },
        })
    }

    fn write_key(&mut self, control: KeyRef, new: NewKey<'_>, layout: KeyLayout) -> Result<(), IssueError> {
        let control = self.address(control)?;
        let iv = self.iv()?;
        let job = WriteKeyJob { control, new, layout, iv };
        let command = self.vault.write_key(&job).map_err(|source| self.vault_fault(source))?;
        self.send_ok(command.as_bytes())
    }

    /// Content of a file or record; what one command does not carry goes in blocks to the selected file.
    fn write(&mut self, new: &NewContent) -> Result<(), IssueError> {
        let data = match &new.content {
            Content::AuthenticationCode => self.authentication_code(),
            content => {
                self.holder.content(content, self.profile, self.public).map_err(|what| self.profile(what))
            }
        }?;
        let [_, low] = new.fid;
        let sfi = low & 0x1F;
        let class = match (new.key, new.protection) {
            (None, _) => command::PLAIN,
            (Some(_), Protection::EncipheredMac) => command::ENCIPHERED_WITH_MAC,
            (Some(_), Protection::Plain | Protection::Mac) => command::WITH_MAC,
        };
        match new.spot {
            Spot::Record(place) => {
                self.write_block(new, command::update_record_header(class, place, sfi), &data)
            }
            Spot::Append => self.write_block(new, command::append_record_header(class, sfi), &data),
            Spot::Start if data.is_empty() => Ok(()),
            Spot::Start if data.len() <= BLOCK_LEN => {
                self.write_block(new, command::update_binary_header(class, sfi, 0), &data)
            }
            Spot::Start => {
                self.send_plain(&command::select_elementary(&new.fid))?;
                for (block, offset) in data.chunks(BLOCK_LEN).zip((0..=u16::MAX).step_by(BLOCK_LEN)) {
                    let [high, low] = offset.to_be_bytes();
                    self.write_block(new, [class, 0xD6, high, low], block)?;
                }
                Ok(())
            }
        }
    }

    /// One command, protected as the file wants it.
    fn write_block(&mut self, new: &NewContent, header: [u8; 4], data: &[u8]) -> Result<(), IssueError> {
        let Some(key) = new.key else {
            let [cla, ins, p1, p2] = header;
            return self.send_plain(&Command::write(cla, ins, p1, p2, data, None)).map(drop);
        };
        let secrecy = match new.protection {
            Protection::EncipheredMac => Secrecy::Enciphered(self.switches.padding()),
            Protection::Plain | Protection::Mac => Secrecy::Clear,
        };
        let key = self.address(key)?;
        let iv = self.iv()?;
        let message = SecureMessage { key, iv, header, data, secrecy };
        let command = self.vault.secure_message(&message).map_err(|source| self.vault_fault(source))?;
        self.send_ok(command.as_bytes())
    }

    /// The code that the issuer makes for this card ([`ykt_purse::auth_code`]).
    fn authentication_code(&self) -> Result<Vec<u8>, IssueError> {
        let Holder::Card(card) = self.holder else {
            return Err(self.profile("only a user card has an authentication code"));
        };
        let key = KeyRef::new(KeyKind::AuthenticationCode, 1, 1);
        let sign = |signed: &[u8]| self.vault.sm_mac(&KeyAddress::Shared(key), [0; 8], &[signed]);
        let code = AuthenticationCode::signed(key.version, &card.asn, sign);
        let code = code.map_err(|source| self.vault_fault(source))?;
        Ok(code.to_bytes().to_vec())
    }

    fn pin(&self) -> Result<&'a Pin, IssueError> {
        self.holder.pin().ok_or_else(|| self.profile("there is no PIN for this card"))
    }

    fn address(&self, key: KeyRef) -> Result<KeyAddress, IssueError> {
        self.holder.address(key, self.profile.layout).map_err(|what| self.profile(what))
    }

    /// The IV of the next command, from a challenge of four bytes.
    fn iv(&mut self) -> Result<[u8; 8], IssueError> {
        Ok(sm::iv_from_challenge4(self.challenge::<4>(ChallengeLen::Four)?))
    }

    fn challenge<const N: usize>(&mut self, len: ChallengeLen) -> Result<[u8; N], IssueError> {
        let ask = command::challenge(len);
        let answer = self.send_plain(&ask)?;
        let wanted = match len {
            ChallengeLen::Four => "a challenge of 4 bytes",
            ChallengeLen::Eight => "a challenge of 8 bytes",
        };
        let header = [ask.cla, ask.ins, ask.p1, ask.p2];
        answer.data().try_into().map_err(|_| self.unreadable(&header, wanted, &answer))
    }

    fn send_plain(&mut self, command: &Command<'_>) -> Result<Response, IssueError> {
        self.send(command.encode(&mut [0; COMMAND_LEN_MAX]))
    }

    fn send_ok(&mut self, command: &[u8]) -> Result<(), IssueError> {
        self.send(command).map(drop)
    }

    fn send(&mut self, command: &[u8]) -> Result<Response, IssueError> {
        self.commands = self.commands.saturating_add(1);
        let answer = self.channel.transmit(command).map_err(|source| IssueError::Silent {
            number: self.number,
            title: self.title.to_owned(),
            command: header_of(command),
            source,
        })?;
        if answer.sw().is_ok() {
            return Ok(answer);
        }
        Err(IssueError::Answer {
            number: self.number,
            title: self.title.to_owned(),
            command: header_of(command),
            expected: StatusWord::OK,
            found: answer.sw(),
        })
    }

    fn unreadable(&self, command: &[u8], expected: &'static str, answer: &Response) -> IssueError {
        let (command, found) = (header_of(command), answer.data().len());
        IssueError::Unreadable { number: self.number, title: self.title.to_owned(), command, expected, found }
    }

    fn vault_fault(&self, source: VaultError) -> IssueError {
        IssueError::Vault { number: self.number, title: self.title.to_owned(), source }
    }

    fn profile(&self, what: &'static str) -> IssueError {
        IssueError::Profile { number: self.number, title: self.title.to_owned(), what }
    }
}

/// The header of a command. Its data field stays out of errors: it may be a cryptogram of a key.
fn header_of(command: &[u8]) -> String {
    Hex(command.get(..4).unwrap_or(command)).to_string()
}
