//! Arguments and the exit code.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};
use pgwarden::app::options::{Background, Options};
use pgwarden::config::check::question::{Question, answer};
use pgwarden::console::{LIBRARIES, VERSION};
use pgwarden::telemetry::audit::learn::learn;
use pgwarden::telemetry::audit::verify::verify;
use pgwarden::telemetry::logs::Spoken;
use pgwarden::{app, config};

/// A PostgreSQL connection pooler with access control.
#[derive(Debug, Parser)]
#[command(
    name = "pgwarden",
    args_conflicts_with_subcommands = true,
    disable_version_flag = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    running: Running,
}

/// As PgBouncer has them, so that what starts PgBouncer can start this.
#[derive(Debug, Args)]
struct Running {
    /// Runs in the background, which takes a pidfile, and a log file or syslog.
    #[arg(short, long)]
    daemon: bool,
    /// Writes no log to standard error.
    #[arg(short, long)]
    quiet: bool,
    /// Takes over from the process on the same Unix socket, if there is one.
    #[arg(short = 'R', long)]
    reboot: bool,
    /// Becomes this user of the operating system.
    #[arg(short, long, value_name = "USERNAME")]
    user: Option<String>,
    /// Logs more; more than once for still more.
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Prints the version.
    #[arg(short = 'V', long)]
    version: bool,
    /// What --daemon starts.
    #[arg(long, hide = true)]
    detached: bool,
    /// The configuration file: runs the pooler.
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Works on audit logs.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Validates a configuration file and says every problem with its line; or says what a client
    /// may do, and why.
    ///
    /// With --user or --role: which role that client gets, what each statement of the text does,
    /// what every rule has to say, and the verdict. The exit status is 0 if the text is allowed,
    /// 1 if it is refused and 2 if the question or the file is of no use.
    Check(Box<Check>),
    /// Prints a pgbouncer.ini as TOML.
    ///
    /// The file is written even if pgwarden could not start with it here, as when it names files
    /// that are elsewhere; then the exit status is 1, and the reasons are on standard error.
    Convert {
        /// PgBouncer's configuration file.
        config: PathBuf,
    },
    /// Reads audit logs and prints the least rules that let through what was seen.
    Learn {
        /// The audit logs.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The only role to print rules for.
        #[arg(long)]
        role: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Check {
    /// The configuration file.
    config: PathBuf,
    /// The user, supposed to have proved its name.
    #[arg(long)]
    user: Option<String>,
    /// The client's address; default: it comes over a Unix socket.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// The user id behind a Unix socket.
    #[arg(long)]
    uid: Option<u32>,
    /// The client comes over TLS.
    #[arg(long)]
    tls: bool,
    /// The database that is asked for.
    #[arg(long)]
    database: Option<String>,
    /// When: 2026-12-01T00:00:00Z, or the next "Sun 03:00 Europe/Paris"; default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// The common name of the client's certificate.
    #[arg(long, value_name = "NAME")]
    certificate_cn: Option<String>,
    /// An alternative name of the client's certificate; more than once for more.
    #[arg(long, value_name = "NAME")]
    certificate_san: Vec<String>,
    /// A claim of the client's token; more than once for more.
    #[arg(long, value_name = "CLAIM=VALUE", value_parser = claim)]
    claim: Vec<(String, String)>,
    /// The role, instead of the one that the grants give.
    #[arg(long)]
    role: Option<String>,
    /// The text; without it the role's rules are printed.
    sql: Option<String>,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Says whether records were changed or taken out.
    Verify {
        /// The audit logs, the oldest first.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return explain(&error),
    };
    match arguments.command {
        Some(Command::Audit {
            command: AuditCommand::Verify { files },
        }) => report(verify(&files)),
        Some(Command::Check(check)) => report(check.run()),
        Some(Command::Convert { config }) => convert(&config),
        Some(Command::Learn { files, role }) => report(learn(&files, role.as_deref())),
        None => arguments.running.run(),
    }
}

/// Prints what is wrong with the arguments, or help. PgBouncer's exit code for a mistake is 1;
/// that of our own subcommands is 2.
fn explain(error: &clap::Error) -> ExitCode {
    // If it cannot be printed there is nobody to read it.
    let _ = error.print();
    let first = std::env::args().nth(1).unwrap_or_default();
    if !error.use_stderr() {
        ExitCode::SUCCESS
    } else if Arguments::command().find_subcommand(&first).is_some() {
        ExitCode::from(2)
    } else {
        ExitCode::FAILURE
    }
}

impl Running {
    fn run(self) -> ExitCode {
        if self.version {
            println!("{VERSION}\n{}", LIBRARIES.replace(", ", "\n"));
            return ExitCode::SUCCESS;
        }
        let Some(config) = self.config else {
            let missing = ErrorKind::MissingRequiredArgument;
            let error = Arguments::command().error(missing, "no configuration file specified");
            return explain(&error);
        };
        let options = Options {
            background: match (self.detached, self.daemon) {
                (true, _) => Background::Detached,
                (false, true) => Background::Start,
                (false, false) => Background::No,
            },
            log: Spoken {
                quiet: self.quiet || self.daemon,
                verbose: self.verbose,
            },
            user: self.user,
            reboot: self.reboot,
        };
        match app::run(&config, &options) {
            Ok(()) => ExitCode::SUCCESS,
            Err(app::StartError::Logged(_)) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }
    }
}

impl Check {
    fn run(self) -> (u8, String) {
        let mut claims: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (claim, value) in self.claim {
            claims.entry(claim).or_default().push(value);
        }
        let question = Question {
            user: self.user,
            from: self.from,
            uid: self.uid,
            tls: self.tls,
            database: self.database,
            at: self.at,
            certificate_cn: self.certificate_cn,
            certificate_san: self.certificate_san,
            claims,
            role: self.role,
            sql: self.sql,
        };
        if question == Question::default() {
            config::check(&self.config)
        } else {
            answer(&self.config, &question)
        }
    }
}

fn convert(config: &Path) -> ExitCode {
    match config::convert(config) {
        Ok(converted) => {
            print!("{}", converted.toml);
            for problem in &converted.problems {
                eprintln!("{problem}");
            }
            ExitCode::from(u8::from(!converted.problems.is_empty()))
        }
        Err(problems) => {
            eprintln!("{problems}");
            ExitCode::FAILURE
        }
    }
}

fn claim(text: &str) -> Result<(String, String), String> {
    let (claim, value) = text.split_once('=').ok_or("expected CLAIM=VALUE")?;
    Ok((claim.to_owned(), value.to_owned()))
}

fn report((code, text): (u8, String)) -> ExitCode {
    print!("{text}");
    ExitCode::from(code)
}
