//! Samples and what is said of them: medians, spread, ratios, bars.

use super::sides::Side;

/// What one side did: samples in the order of the rounds.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    rounds: Vec<Vec<f64>>,
}

impl Samples {
    /// Adds a round's samples; a round without any is left out.
    pub fn add(&mut self, round: Vec<f64>) {
        if !round.is_empty() {
            self.rounds.push(round);
        }
    }

    /// How many samples there are.
    pub fn count(&self) -> usize {
        self.rounds.iter().map(Vec::len).sum()
    }

    /// The value below which `share` of the samples lie, 0 to 1. None without samples.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        quantile(self.rounds.iter().flatten().copied().collect(), share)
    }

    /// Least and greatest median of a round.
    pub fn spread(&self) -> Option<(f64, f64)> {
        let medians: Vec<f64> =
            self.rounds.iter().filter_map(|round| quantile(round.clone(), 0.5)).collect();
        let least = medians.iter().copied().reduce(f64::min)?;
        Some((least, medians.iter().copied().reduce(f64::max)?))
    }
}

fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a small count"
    )]
    let (below, part) = {
        let place = share * last as f64;
        (place as usize, place.fract())
    };
    let low = *values.get(below)?;
    let high = *values.get(below + 1).unwrap_or(&low);
    Some(low + (high - low) * part)
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// Ours over theirs is at least this.
    RatioAtLeast(f64),
    /// Ours over theirs is at most this.
    RatioAtMost(f64),
    /// Ours is at most this, in the row's unit.
    AtMost(f64),
}

impl Bar {
    /// Whether it holds; a ratio that could not be made does not.
    pub fn holds(self, ours: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::RatioAtLeast(least) => ratio.is_some_and(|ratio| ratio >= least),
            Self::RatioAtMost(most) => ratio.is_some_and(|ratio| ratio <= most),
            Self::AtMost(most) => ours <= most,
        }
    }

    /// As the table says it.
    pub fn words(self) -> String {
        match self {
            Self::RatioAtLeast(least) => format!("≥ {least} ×"),
            Self::RatioAtMost(most) => format!("≤ {most} ×"),
            Self::AtMost(most) => format!("≤ {most}"),
        }
    }
}

/// One line of the table: one side of ours beside one of theirs.
#[derive(Debug, Clone)]
pub struct Row {
    /// The bench it belongs to.
    pub bench: &'static str,
    /// What was measured.
    pub what: String,
    /// Unit of both values.
    pub unit: &'static str,
    /// Who stands beside us; empty where only a bound counts.
    pub peer: String,
    /// Our side's name.
    pub side: String,
    /// Our value and its least and greatest.
    pub ours: Value,
    /// Theirs.
    pub theirs: Option<Value>,
    /// What must hold.
    pub bar: Option<Bar>,
}

/// A value with its spread over the rounds.
#[derive(Debug, Clone, Copy)]
pub struct Value {
    /// The median, or another quantile where the row says so.
    pub value: f64,
    /// Least and greatest median of a round.
    pub spread: (f64, f64),
    /// Samples behind it.
    pub count: usize,
}

impl Value {
    /// The median of some samples, if there are any.
    pub fn median(samples: &Samples) -> Option<Self> {
        Self::quantile(samples, 0.5)
    }

    /// Another quantile; the spread is that of the medians.
    pub fn quantile(samples: &Samples, share: f64) -> Option<Self> {
        let (value, spread) = (samples.quantile(share)?, samples.spread()?);
        Some(Self { value, spread, count: samples.count() })
    }
}

impl Row {
    /// A row of scry's with values that were counted, not sampled; `theirs` is who stands beside it and their value.
    pub fn exact(
        bench: &'static str,
        what: &str,
        unit: &'static str,
        ours: f64,
        theirs: Option<(&str, f64)>,
        bar: Option<Bar>,
    ) -> Self {
        let exact = |value| Value { value, spread: (value, value), count: 1 };
        Self {
            bench,
            what: what.to_owned(),
            unit,
            peer: theirs.map_or_else(String::new, |(peer, _)| peer.to_owned()),
            side: Side::Scry.name().to_owned(),
            ours: exact(ours),
            theirs: theirs.map(|(_, value)| exact(value)),
            bar,
        }
    }

    /// Ours over theirs.
    pub fn ratio(&self) -> Option<f64> {
        self.theirs.map(|theirs| self.ours.value / theirs.value).filter(|ratio| ratio.is_finite())
    }

    /// Whether the bar holds; a row without one always does.
    pub fn holds(&self) -> bool {
        self.bar.is_none_or(|bar| bar.holds(self.ours.value, self.ratio()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(rounds: &[&[f64]]) -> Samples {
        let mut samples = Samples::default();
        for round in rounds {
            samples.add(round.to_vec());
        }
        samples
    }

    #[test]
    fn quantiles_lie_between_samples_and_the_spread_is_that_of_the_rounds() {
        let two = samples(&[&[1.0, 2.0, 3.0], &[], &[10.0, 20.0, 30.0]]);
        assert_eq!((two.count(), two.quantile(0.5)), (6, Some(6.5)));
        assert_eq!((two.quantile(0.0), two.quantile(1.0)), (Some(1.0), Some(30.0)));
        assert_eq!(two.spread(), Some((2.0, 20.0)));
        assert_eq!((samples(&[]).quantile(0.5), samples(&[]).spread()), (None, None));
    }

    #[test]
    fn a_bar_that_is_missed_and_a_ratio_that_cannot_be_made_do_not_hold() {
        let row = |ours, theirs: Option<f64>, bar| {
            Row::exact("x", "", "ms", ours, theirs.map(|theirs| ("y", theirs)), Some(bar))
        };
        for (ours, theirs, bar, holds) in [
            (2.0, Some(2.0), Bar::RatioAtLeast(1.0), true),
            (1.9, Some(2.0), Bar::RatioAtLeast(1.0), false),
            (1.0, Some(2.0), Bar::RatioAtMost(0.5), true),
            (1.1, Some(2.0), Bar::RatioAtMost(0.5), false),
            (1.0, None, Bar::RatioAtMost(0.5), false),
            (1.0, Some(0.0), Bar::RatioAtLeast(0.5), false),
            (50.0, None, Bar::AtMost(50.0), true),
            (50.1, None, Bar::AtMost(50.0), false),
        ] {
            assert_eq!(row(ours, theirs, bar).holds(), holds, "{ours} {theirs:?} {bar:?}");
        }
    }
}
