//! Parse, run, print the error and its hint, exit with the documented code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(factory::cli::main())
}
