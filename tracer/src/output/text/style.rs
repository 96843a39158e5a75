//! Colours, for what a person looks for first. Without them every style is empty.

use anstyle::{AnsiColor, Style};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Styles {
    /// What the block is about.
    pub(super) strong: Style,
    /// Refusals and losses.
    pub(super) bad: Style,
    /// Guesses and oddities.
    pub(super) warn: Style,
    /// Conclusions that leave no other explanation.
    pub(super) sure: Style,
    /// Conclusions that the evidence points to.
    pub(super) good: Style,
    /// What frames the rest.
    pub(super) faint: Style,
}

impl Styles {
    pub(super) const fn coloured() -> Self {
        Self {
            strong: Style::new().bold(),
            bad: AnsiColor::Red.on_default().bold(),
            warn: AnsiColor::Yellow.on_default(),
            sure: AnsiColor::Green.on_default().bold(),
            good: AnsiColor::Green.on_default(),
            faint: AnsiColor::Cyan.on_default(),
        }
    }
}
