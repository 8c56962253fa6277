//! Arguments and the exit code.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
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
    /// Validates a configuration file and says every problem with its line.
    Check {
        /// The configuration file.
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match (arguments.command, arguments.config) {
        (Some(Command::Check { config }), _) => {
            let (code, report) = config::check(&config);
            print!("{report}");
            ExitCode::from(code)
        }
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
