//! `tracer403 explain`.

use anyhow::Result;
use tracer403::cli::Explain;
use tracer403::output::explain;
use tracer403::output::text::stdout_wants_colour;

use crate::session::Ending;

/// Columns of text where nothing says how many there are, and at most: longer lines read badly.
const WIDTH: usize = 100;

/// Prints what is known of one cause, or the list of all.
pub(crate) fn explain(arguments: &Explain) -> Result<Ending> {
    let text = if arguments.json {
        serde_json::to_string_pretty(&explain::json(arguments.cause))?
    } else {
        explain::text(arguments.cause, width(), stdout_wants_colour())
    };
    crate::print(text.trim_end())
}

fn width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0).min(WIDTH))
}
