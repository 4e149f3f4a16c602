//! `campanile user`: accounts, with the server running or not. The database is changed here, and with an account that is deleted, disabled or has
//! a new password its TURN credentials become void, also for a server that starts later; a running server is then told, and ends its
//! sessions and allocations at once. Contacts of a deleted account are told by the server, now or at its start.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use campanile_config::Config;
use campanile_signalling::auth::{Authenticator, PerHour};
use campanile_signalling::jid::{BareJid, Jid};
use campanile_signalling::store::{Account, Disabled, Store};
use campanile_signalling::time::xep0082;
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};

use super::{load, print};
use crate::control::{self, Answer, Request, Session};

/// Longest reason: it goes into stream errors and answers to log-ins.
const REASON_BYTES_MAX: usize = 1000;

/// Arguments of `campanile user`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make an account
    Add {
        /// Its address, NAME@DOMAIN
        #[arg(value_name = "JID")]
        account: String,
        /// Its password; asked for when not given (from standard input when that is no terminal)
        #[arg(long, value_name = "PW")]
        password: Option<String>,
    },
    /// Set the password of an account; its sessions end
    Passwd {
        /// Its address, NAME@DOMAIN
        #[arg(value_name = "JID")]
        account: String,
        /// The new password; asked for when not given (from standard input when that is no terminal)
        #[arg(long, value_name = "PW")]
        password: Option<String>,
    },
    /// Refuse the log-ins of an account; its sessions end
    Disable {
        /// Its address, NAME@DOMAIN
        #[arg(value_name = "JID")]
        account: String,
        /// What its owner is told at a log-in
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Allow the log-ins of an account again
    Enable {
        /// Its address, NAME@DOMAIN
        #[arg(value_name = "JID")]
        account: String,
    },
    /// End the sessions of an account, or one of them, with the server running; they may come again
    Kick {
        /// NAME@DOMAIN, or NAME@DOMAIN/RESOURCE
        #[arg(value_name = "JID")]
        address: String,
        /// What the client is told
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// List the sessions of the running server, or of one account: one line each with a tab between address and priority of the presence
    Sessions {
        /// Its address, NAME@DOMAIN
        #[arg(value_name = "JID")]
        account: Option<String>,
    },
    /// Show an account, and its sessions if the server runs
    Show {
        /// Its address, NAME@DOMAIN
        #[arg(value_name = "JID")]
        account: String,
    },
    /// Delete an account with all that it has; its sessions end, its contacts are told
    Delete {
        /// Its address, NAME@DOMAIN
        #[arg(value_name = "JID")]
        account: String,
    },
    /// List all accounts: a table on a terminal, else one line each with tabs between address, creation and last change of the password
    List,
}

/// Does what the arguments say.
pub fn run(file: Option<&Path>, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = load(file)?.config;
    same_user(&config.server.data_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let text = runtime.block_on(act(&config, arguments.action))?;
    if !text.is_empty() {
        print(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Files made here by root, say, would be closed to the server.
pub(super) fn same_user(data_dir: &Path) -> anyhow::Result<()> {
    let (Ok(folder), Ok(us)) = (fs::metadata(data_dir), fs::metadata("/proc/self")) else { return Ok(()) };
    if folder.uid() != us.uid() {
        bail!(
            "{} belongs to the user with id {}: run this as that user, with `runuser -u USER -- campanile user …` for example",
            data_dir.display(),
            folder.uid()
        );
    }
    Ok(())
}

/// Returns what is to be printed.
async fn act(config: &Config, action: Action) -> anyhow::Result<String> {
    let data_dir = &config.server.data_dir;
    match action {
        Action::Add { account, password } => {
            let account = address(config, &account)?;
            let password = given_or_asked(password, &account)?;
            with_accounts(config, async |accounts| Ok(accounts.create_account(&account, &password).await?)).await?;
            Ok(format!("{account} added"))
        }
        Action::Passwd { account, password } => {
            let account = address(config, &account)?;
            let password = given_or_asked(password, &account)?;
            with_accounts(config, async |accounts| Ok(accounts.set_password(&account, &password).await?)).await?;
            let request = Request::PasswordChanged { account: account.to_string() };
            let told = tell(data_dir, &request).await.with_context(|| format!("the password of {account} is changed, but"))?;
            Ok(format!("password of {account} changed{told}"))
        }
        Action::Delete { account } => {
            let account = address(config, &account)?;
            with_accounts(
                config,
                async |accounts| {
                    if accounts.delete_account(&account).await? { Ok(()) } else { bail!("there is no account {account}") }
                },
            )
            .await?;
            let request = Request::AccountDeleted { account: account.to_string() };
            let told = tell(data_dir, &request).await.with_context(|| format!("{account} is deleted, but"))?;
            Ok(format!("{account} deleted{told}"))
        }
        Action::Disable { account, reason } => {
            let account = address(config, &account)?;
            if reason.as_ref().is_some_and(|reason| reason.len() > REASON_BYTES_MAX) {
                bail!("the reason is longer than {REASON_BYTES_MAX} bytes");
            }
            with_store(config, async |store| Ok(store.accounts().disable(&account, &Disabled { reason }).await?)).await?;
            let request = Request::AccountDisabled { account: account.to_string() };
            let told = tell(data_dir, &request).await.with_context(|| format!("{account} is disabled, but"))?;
            Ok(format!("{account} disabled{told}"))
        }
        Action::Enable { account } => {
            let account = address(config, &account)?;
            with_store(config, async |store| Ok(store.accounts().enable(&account).await?)).await?;
            let request = Request::AccountEnabled { account: account.to_string() };
            tell(data_dir, &request).await.with_context(|| format!("{account} is enabled, but"))?;
            Ok(format!("{account} enabled"))
        }
        Action::Kick { address, reason } => {
            let jid = Jid::parse(&address)
                .with_context(|| format!("`{address}` is not an address, write NAME@DOMAIN or NAME@DOMAIN/RESOURCE"))?;
            self::address(config, jid.to_bare().as_str())?;
            let request = Request::Kick { address: jid.to_string(), reason };
            match control::ask(data_dir, &request).await? {
                Some(Answer::Done { sessions_ended: 0 }) => bail!("{jid} has no session"),
                Some(Answer::Done { sessions_ended }) => Ok(format!("{jid}: {}", counted(sessions_ended))),
                Some(answer) => bail!("the running server answered something else: {answer:?}"),
                None => bail!("no server runs here, so there is no session"),
            }
        }
        Action::Sessions { account } => {
            let account = account.map(|account| address(config, &account)).transpose()?;
            let sessions = sessions(data_dir, account.as_ref()).await?.context("no server runs here, so there is no session")?;
            Ok(sessions.iter().map(session_line).collect::<Vec<_>>().join("\n"))
        }
        Action::Show { account } => {
            let account = address(config, &account)?;
            let row = with_store(config, async |store| Ok(store.accounts().get(&account).await?)).await?;
            let row = row.with_context(|| format!("there is no account {account}"))?;
            Ok(shown(&row, sessions(data_dir, Some(&account)).await?))
        }
        Action::List => {
            let store = open(config).await?;
            let accounts = store.accounts().list().await;
            store.close().await;
            Ok(listing(&accounts?, io::stdout().is_terminal()))
        }
    }
}

/// The account's address; it has to be of this server.
fn address(config: &Config, text: &str) -> anyhow::Result<BareJid> {
    let jid = BareJid::parse(text).with_context(|| format!("`{text}` is not an address, write NAME@DOMAIN"))?;
    if jid.local().is_none() {
        bail!("`{text}` is not an account's address, write NAME@DOMAIN");
    }
    if !config.server.domains.iter().any(|domain| domain == jid.domain()) {
        bail!("`{}` is not a domain of this server: server.domains has {}", jid.domain(), config.server.domains.join(", "));
    }
    Ok(jid)
}

fn given_or_asked(given: Option<String>, account: &BareJid) -> anyhow::Result<String> {
    if let Some(password) = given {
        return Ok(password);
    }
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().read_line(&mut line).context("the password cannot be read from standard input")?;
        let password = line.strip_suffix('\n').unwrap_or(&line);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            bail!("no password: write it to standard input, or give --password");
        }
        return Ok(password.to_owned());
    }
    let ask = |prompt: String| rpassword::prompt_password(prompt).context("the password cannot be asked for here; give --password");
    let password = ask(format!("Password for {account}: "))?;
    if ask("Again: ".to_owned())? != password {
        bail!("the two passwords differ");
    }
    Ok(password)
}

async fn open(config: &Config) -> anyhow::Result<Store> {
    Ok(Store::open(&config.storage.url, &config.server.data_dir).await?)
}

/// Opens the database for one change and closes it, so that the change is complete when this returns.
pub(super) async fn with_accounts(config: &Config, change: impl AsyncFnOnce(&Authenticator) -> anyhow::Result<()>) -> anyhow::Result<()> {
    // Nobody logs in here.
    let nobody = PerHour { source: 0, all: 0 };
    with_store(config, async |store| change(&Authenticator::new(store, config.limits.auth_concurrency, nobody)?).await).await
}

async fn with_store<T>(config: &Config, work: impl AsyncFnOnce(&Store) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let store = open(config).await?;
    let result = work(&store).await;
    store.close().await;
    result
}

/// All sessions of the running server, or of one account; `None` if none runs.
async fn sessions(data_dir: &Path, account: Option<&BareJid>) -> anyhow::Result<Option<Vec<Session>>> {
    let mut all: Vec<Session> = Vec::new();
    loop {
        let request = Request::Sessions { account: account.map(ToString::to_string), after: all.last().map(|last| last.address.clone()) };
        match control::ask(data_dir, &request).await? {
            Some(Answer::Sessions { sessions, more }) => {
                all.extend(sessions);
                if !more {
                    return Ok(Some(all));
                }
            }
            Some(answer) => bail!("the running server answered something else: {answer:?}"),
            None => return Ok(None),
        }
    }
}

fn session_line(session: &Session) -> String {
    let priority = session.priority.map_or_else(|| "not available".to_owned(), |priority| priority.to_string());
    format!("{}\t{priority}", session.address)
}

/// Lines of a name and a value.
fn shown(account: &Account, sessions: Option<Vec<Session>>) -> String {
    let mut lines = vec![
        format!("account\t{}", account.jid),
        format!("made\t{}", xep0082(account.created_at)),
        format!("password set\t{}", xep0082(account.password_changed_at)),
    ];
    match &account.disabled {
        Some(Disabled { reason: Some(reason) }) => lines.push(format!("disabled\t{reason}")),
        Some(Disabled { reason: None }) => lines.push("disabled\tyes".to_owned()),
        None => {}
    }
    if account.anonymous {
        lines.push("anonymous\tyes".to_owned());
    }
    match sessions {
        Some(sessions) => lines.extend(sessions.iter().map(|session| format!("session\t{}", session_line(session)))),
        None => lines.push("sessions\tno server runs here".to_owned()),
    }
    lines.join("\n")
}

fn counted(sessions: usize) -> String {
    if sessions == 1 { "1 session ended".to_owned() } else { format!("{sessions} sessions ended") }
}

/// Tells a running server; what there is to say of it.
pub(super) async fn tell(data_dir: &Path, request: &Request) -> anyhow::Result<String> {
    Ok(match control::ask(data_dir, request).await? {
        Some(Answer::Done { sessions_ended: 0 }) | None => String::new(),
        Some(Answer::Done { sessions_ended }) => format!(", {}", counted(sessions_ended)),
        Some(answer) => {
            bail!("the running server answered something else: {answer:?}")
        }
    })
}

fn listing(accounts: &[Account], on_terminal: bool) -> String {
    let row = |account: &Account| {
        let jid = if account.disabled.is_some() { format!("{} (disabled)", account.jid) } else { account.jid.to_string() };
        [jid, xep0082(account.created_at), xep0082(account.password_changed_at)]
    };
    if !on_terminal {
        return accounts.iter().map(|account| row(account).join("\t")).collect::<Vec<_>>().join("\n");
    }
    if accounts.is_empty() {
        return "no accounts yet: `campanile user add NAME@DOMAIN` makes one".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(["account", "made", "password set"]);
    for account in accounts {
        table.add_row(row(account));
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::DataDir;
    use crate::lock::tests::Folder;
    use tokio_util::sync::CancellationToken;

    fn config(folder: &Folder) -> Config {
        let mut config = Config::default();
        config.server.data_dir = folder.path().to_owned();
        config.storage.url = format!("sqlite:{}/campanile.db", folder.path().display());
        config
    }

    fn add(account: &str) -> Action {
        Action::Add { account: account.to_owned(), password: Some("opensesame".to_owned()) }
    }

    async fn error(config: &Config, action: Action) -> String {
        format!("{:#}", act(config, action).await.unwrap_err())
    }

    #[tokio::test]
    async fn accounts_are_made_changed_listed_and_deleted() {
        let folder = Folder::new();
        let config = config(&folder);
        assert_eq!(act(&config, Action::List).await.unwrap(), "");
        assert_eq!(act(&config, add("Alice@localhost")).await.unwrap(), "alice@localhost added");
        assert!(error(&config, add("alice@localhost")).await.contains("alice@localhost exists already"));
        let passwd = |account: &str| Action::Passwd { account: account.to_owned(), password: Some("new".to_owned()) };
        assert_eq!(act(&config, passwd("alice@localhost")).await.unwrap(), "password of alice@localhost changed");
        assert!(error(&config, passwd("bob@localhost")).await.contains("no account bob@localhost"));
        let list = act(&config, Action::List).await.unwrap();
        assert!(list.starts_with("alice@localhost\t20") && list.lines().count() == 1, "{list}");
        let delete = || Action::Delete { account: "alice@localhost".to_owned() };
        assert_eq!(act(&config, delete()).await.unwrap(), "alice@localhost deleted");
        assert!(error(&config, delete()).await.contains("no account alice@localhost"));
    }

    #[test]
    fn a_pipe_gets_one_line_for_each_account() {
        let at = |seconds| std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let (created_at, password_changed_at) = (at(951_782_400), at(1_795_644_540));
        let account = Account {
            jid: BareJid::parse("alice@localhost").unwrap(),
            created_at,
            password_changed_at,
            disabled: Some(Disabled::default()),
            anonymous: false,
        };
        assert_eq!(listing(&[account], false), "alice@localhost (disabled)\t2000-02-29T00:00:00Z\t2026-11-25T22:09:00Z");
    }

    #[tokio::test]
    async fn addresses_have_to_be_of_this_server() {
        let folder = Folder::new();
        let config = config(&folder);
        for (account, word) in [
            ("alice@example.org", "server.domains has localhost"),
            ("localhost", "NAME@DOMAIN"),
            ("alice@localhost/phone", "NAME@DOMAIN"),
            ("a b@localhost", "NAME@DOMAIN"),
            ("", "NAME@DOMAIN"),
        ] {
            let error = error(&config, add(account)).await;
            assert!(error.contains(word), "{account}: {error}");
        }
    }

    #[tokio::test]
    async fn a_running_server_is_told() {
        let folder = Folder::new();
        let config = config(&folder);
        act(&config, add("alice@localhost")).await.unwrap();
        let lock = DataDir::claim(folder.path()).unwrap();
        let stop = CancellationToken::new();
        let handler = async |request| match request {
            Request::PasswordChanged { account } if account == "alice@localhost" => Answer::Done { sessions_ended: 1 },
            Request::AccountDeleted { .. } => Answer::Error { message: "busy".to_owned() },
            _ => Answer::Done { sessions_ended: 0 },
        };
        let server = tokio::spawn(control::Control::bind(&lock).unwrap().serve(handler, stop.clone()));
        let passwd = Action::Passwd { account: "alice@localhost".to_owned(), password: Some("new".to_owned()) };
        assert_eq!(act(&config, passwd).await.unwrap(), "password of alice@localhost changed, 1 session ended");
        let refused = error(&config, Action::Delete { account: "alice@localhost".to_owned() }).await;
        assert_eq!(refused, "alice@localhost is deleted, but: the running server refused: busy");
        stop.cancel();
        server.await.unwrap();
    }
}
