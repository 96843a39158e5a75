//! Arguments of `explain`.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::model::CauseId;

/// What to explain.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Explain")]
pub struct Explain {
    /// The cause, as cases name it; all of them where it is left out
    #[arg(value_name = "CAUSE", value_parser = cause())]
    pub cause: Option<CauseId>,

    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
}

fn cause() -> impl TypedValueParser<Value = CauseId> {
    PossibleValuesParser::new(CauseId::ALL.map(CauseId::name))
        .try_map(|name| CauseId::from_name(&name).ok_or("there is no such cause"))
}
