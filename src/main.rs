//! Arguments and the exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
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
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Works on audit logs.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Validates a configuration file and says every problem with its line.
    Check {
        /// The configuration file.
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
        (Some(Command::Check { config }), _) => report(config::check(&config)),
        (Some(Command::Learn { files, role }), _) => report(learn(&files, role.as_deref())),
        (None, Some(config)) => match app::run(&config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        (None, None) => ExitCode::FAILURE, // clap has refused this
    }
}

fn report((code, text): (u8, String)) -> ExitCode {
    print!("{text}");
    ExitCode::from(code)
}
