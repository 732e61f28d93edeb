//! Colours: Okabe–Ito for kinds of things, one sequential ramp for stages.
//!
//! Options carry the light colours; [`colour_pairs`] tells the page which dark
//! one stands for each.

/// Colours for kinds of things that colour-blind readers can tell apart
/// (Okabe–Ito, without the two that vanish on white).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hue {
    /// The main series.
    Blue,
    /// What needs attention: limits, errors.
    Vermillion,
    /// A second series.
    Green,
    /// A third series.
    Orange,
    /// A fourth series.
    Purple,
    /// A fifth series.
    Sky,
    /// Text-like: medians, marks.
    Ink,
    /// Not counted: warm-up.
    Grey,
}

impl Hue {
    /// The colours given to unordered things (GPUs, runs), in turn.
    pub const SERIES: [Self; 6] =
        [Self::Blue, Self::Vermillion, Self::Green, Self::Orange, Self::Purple, Self::Sky];

    /// The colour of the `index`-th of several unordered things.
    pub const fn nth(index: usize) -> Self {
        Self::SERIES[index % Self::SERIES.len()]
    }

    /// On white.
    pub const fn light(self) -> &'static str {
        match self {
            Self::Blue => "#0072b2",
            Self::Vermillion => "#d55e00",
            Self::Green => "#009e73",
            Self::Orange => "#e69f00",
            Self::Purple => "#cc79a7",
            Self::Sky => "#56b4e9",
            Self::Ink => "#1f2328",
            Self::Grey => "#8a9199",
        }
    }

    const fn dark(self) -> &'static str {
        match self {
            Self::Blue => "#4aa3df",
            Self::Vermillion => "#f0803c",
            Self::Green => "#2bbf94",
            Self::Orange => "#f2b632",
            Self::Purple => "#dd93bd",
            Self::Sky => "#8fd0f7",
            Self::Ink => "#e6e9ec",
            Self::Grey => "#7d858d",
        }
    }
}

/// The colour of a stage: the more load, the darker on white (the lighter on black).
#[derive(Debug, Clone, Copy)]
pub(super) struct Ramp {
    of: usize,
}

impl Ramp {
    /// A ramp over `of` stages.
    pub(super) fn new(of: usize) -> Self {
        Self { of: of.max(1) }
    }

    fn share(self, rank: usize) -> f64 {
        if self.of == 1 { 0.6 } else { rank.min(self.of - 1) as f64 / (self.of - 1) as f64 }
    }

    /// The colour of the stage with the `rank`-th least load, on white.
    pub(super) fn light(self, rank: usize) -> String {
        let x = self.share(rank);
        oklch(0.76 - 0.46 * x, 0.115 + 0.03 * x, 165.0 + 135.0 * x)
    }

    fn dark(self, rank: usize) -> String {
        let x = self.share(rank);
        oklch(0.56 + 0.36 * x, 0.13, 285.0 - 160.0 * x)
    }
}

/// Every light colour that an option may carry with the dark one for it.
pub fn colour_pairs(stages: usize) -> Vec<(String, String)> {
    let hues = Hue::SERIES.into_iter().chain([Hue::Ink, Hue::Grey]);
    let mut pairs: Vec<_> = hues.map(|h| (h.light().to_owned(), h.dark().to_owned())).collect();
    // Charts may leave stages out (all failed): each has the ramp of its own count.
    for of in 1..=stages {
        let ramp = Ramp::new(of);
        pairs.extend((0..of).map(|rank| (ramp.light(rank), ramp.dark(rank))));
    }
    pairs.sort();
    pairs.dedup_by(|a, b| a.0 == b.0);
    pairs
}

/// OKLCH to `#rrggbb` (Ottosson's matrices), clipped to sRGB.
fn oklch(lightness: f64, chroma: f64, hue_degrees: f64) -> String {
    let (b, a) = hue_degrees.to_radians().sin_cos();
    let (a, b) = (a * chroma, b * chroma);
    let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    let channel = |linear: f64| {
        let linear = linear.clamp(0.0, 1.0);
        let v = if linear <= 0.003_130_8 {
            12.92 * linear
        } else {
            1.055 * linear.powf(1.0 / 2.4) - 0.055
        };
        (v * 255.0).round() as u8
    };
    format!(
        "#{:02x}{:02x}{:02x}",
        channel(4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s),
        channel(-1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s),
        channel(-0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(colour: &str) -> f64 {
        let channel = |at| {
            let v = u8::from_str_radix(&colour[at..at + 2], 16).expect("hex");
            let v = f64::from(v) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn more_load_is_darker_on_white_and_lighter_on_black() {
        for of in 2..10 {
            let ramp = Ramp::new(of);
            for rank in 1..of {
                assert!(luminance(&ramp.light(rank)) < luminance(&ramp.light(rank - 1)));
                assert!(luminance(&ramp.dark(rank)) > luminance(&ramp.dark(rank - 1)));
            }
        }
    }

    #[test]
    fn white_is_white() {
        assert_eq!(oklch(1.0, 0.0, 0.0), "#ffffff");
        assert_eq!(oklch(0.0, 0.0, 0.0), "#000000");
    }

    #[test]
    fn every_light_colour_has_one_dark_colour() {
        let pairs = colour_pairs(7);
        let ramp = Ramp::new(7);
        for rank in 0..7 {
            assert_eq!(pairs.iter().filter(|p| p.0 == ramp.light(rank)).count(), 1);
        }
    }
}
