//! What people see. Everything goes to standard error, so that standard output belongs to the program that is run;
//! colours only reach a terminal.

use std::time::{Duration, Instant};

use anstream::eprintln;
use anyhow::Result;
use owo_colors::OwoColorize as _;

/// Columns of a step's name in front of its time.
const NAME: usize = 34;

/// Runs one step between its title and its time.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("{} {}", "▸".cyan(), name.bold());
    let start = Instant::now();
    let done = work();
    let time = duration(start.elapsed());
    match &done {
        Ok(_) => eprintln!("{} {name:<NAME$} {:>9}", "✓".green(), time.dimmed()),
        Err(_) => eprintln!("{} {name:<NAME$} {:>9}", "✗".red(), time.dimmed()),
    }
    done
}

/// The end of a run that failed.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("{} {error:#}", "error:".red().bold());
}

/// A time as people read it: `4.2 s`, `1 m 20 s`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} m {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_millis(4_240)), "4.2 s");
        assert_eq!(duration(Duration::from_secs(60)), "1 m 00 s");
        assert_eq!(duration(Duration::from_secs(3_725)), "62 m 05 s");
    }
}
