//! Arguments and the exit code.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use pgwarden::config::check::question::{Question, answer};
use pgwarden::telemetry::audit::learn::learn;
use pgwarden::telemetry::audit::verify::verify;
use pgwarden::{app, config};

/// A PostgreSQL connection pooler with access control.
#[derive(Debug, Parser)]
#[command(name = "pgwarden", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// The configuration file: runs the pooler in the foreground.
    #[arg(required = true)]
    config: Option<PathBuf>,
    /// Takes the place of the process that serves the Unix socket, if there is one: clients do
    /// not notice.
    #[arg(short = 'R', long)]
    reboot: bool,
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
    let arguments = Arguments::parse();
    match (arguments.command, arguments.config) {
        (
            Some(Command::Audit {
                command: AuditCommand::Verify { files },
            }),
            _,
        ) => report(verify(&files)),
        (Some(Command::Check(check)), _) => report(check.run()),
        (Some(Command::Learn { files, role }), _) => report(learn(&files, role.as_deref())),
        (None, Some(config)) => match app::run(&config, arguments.reboot) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        (None, None) => ExitCode::FAILURE, // clap has refused this
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

fn claim(text: &str) -> Result<(String, String), String> {
    let (claim, value) = text.split_once('=').ok_or("expected CLAIM=VALUE")?;
    Ok((claim.to_owned(), value.to_owned()))
}

fn report((code, text): (u8, String)) -> ExitCode {
    print!("{text}");
    ExitCode::from(code)
}
