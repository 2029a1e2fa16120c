//! `talaria bench attack`: what honest clients notice while others attack the hub.
//!
//! The honest clients come from 127.0.0.1 and stay connected. What they notice is measured three times on the
//! same hub: without attackers, beside clients that ask for something harmless as fast as they can, and during
//! the attack. The second measurement shows what the attackers' processor time costs on a shared machine.

pub(crate) mod args;
pub(crate) mod attacker;
mod child;
pub(crate) mod client;
mod findings;
mod honest;
mod http2;
pub(crate) mod inputs;
mod phases;
mod report;

use self::args::AttackArgs;
use crate::error::Problem;
use crate::print;

/// Runs the attack and prints what it found. Returns whether no honest update was lost or doubled.
///
/// # Errors
/// When it cannot run.
pub(crate) fn main(args: &AttackArgs) -> Result<bool, Problem> {
    let found = phases::run(args)?;
    if args.json {
        print::line(format_args!("{}", report::json(&found)))?;
    } else {
        print::write(format_args!("{}", report::table(&found)))?;
    }
    Ok(found.is_flawless())
}
