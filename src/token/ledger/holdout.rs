//! Sessions that run untouched, so that the others can be compared with something. Pure.
//!
//! A saving that is counted answer by answer cannot see what shaping makes a model do: read again, ask
//! again, go on longer. Two groups of sessions, told apart by nothing but a hash, can. Below a floor of
//! sessions nothing is said: two samples prove nothing in either direction.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Sessions that each group needs before anything is said.
pub const FLOOR: u64 = 30;
/// Two-sided 95 % of the normal distribution.
const Z95: f64 = 1.959_964;
/// Parts of the whole in a [`HoldoutShare`].
const PARTS: u32 = 1_000_000;

/// A share of sessions: 0 to a half, in millionths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldoutShare(u32);

impl HoldoutShare {
    /// No session.
    pub const NONE: Self = Self(0);
}

impl FromStr for HoldoutShare {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected a share of 0 to 0.5, such as `0.1` or `10%`".to_owned();
        let (number, whole) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), 100.0),
            None => (text, 1.0),
        };
        let is_plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let number: f64 = number.parse().map_err(|_| expected())?;
        let share = number / whole;
        if !is_plain || !(0.0..=0.5).contains(&share) {
            return Err(expected());
        }
        // Within 0 and 500,000 by the check above.
        Ok(Self((share * f64::from(PARTS)).round() as u32))
    }
}

impl fmt::Display for HoldoutShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / f64::from(PARTS))
    }
}

/// Decides whether a session runs untouched: by its name and a secret, so that it is the same for all of the
/// session, nobody chooses it, and no clock or counter has a part in it.
pub fn is_held_out(secret: &[u8; 32], session: &[u8], share: HoldoutShare) -> bool {
    if share == HoldoutShare::NONE {
        return false;
    }
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(b"ledger hold-out");
    hasher.update(session);
    let hash = hasher.finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u128::from(u64::from_le_bytes(first)) * u128::from(PARTS) < u128::from(share.0) << 64
}

/// A group of sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Group {
    /// Sessions with at least one call.
    pub sessions: u64,
    /// Calls of an average session.
    pub calls_per_session: f64,
    /// Tokens of answers that an average session was sent, with what was read back.
    pub tokens_per_session: f64,
    #[serde(skip)]
    variance: f64,
}

impl Group {
    /// Sums up sessions, each given as its calls and tokens.
    pub fn of(sessions: &[(u64, u64)]) -> Self {
        let n = sessions.len() as f64;
        if sessions.is_empty() {
            return Self::default();
        }
        let mean = |of: fn(&(u64, u64)) -> u64| {
            sessions
                .iter()
                .map(|session| of(session) as f64)
                .sum::<f64>()
                / n
        };
        let tokens = mean(|session| session.1);
        let squares = sessions
            .iter()
            .map(|session| (session.1 as f64 - tokens).powi(2))
            .sum::<f64>();
        Self {
            sessions: sessions.len() as u64,
            calls_per_session: mean(|session| session.0),
            tokens_per_session: tokens,
            variance: if n > 1.0 { squares / (n - 1.0) } else { 0.0 },
        }
    }
}

/// How the shaped sessions differ from those that ran untouched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Tokens that an average session was sent less; negative where it was sent more.
    pub saved_per_session: f64,
    /// The 95 % interval around it.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// The saving in percent of the untouched sessions, where these were sent anything.
    pub percent: Option<f64>,
}

impl Difference {
    /// Whether the interval leaves out zero.
    pub fn is_clear(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// Both groups, and what can be said.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// Sessions that were shaped.
    pub shaped: Group,
    /// Sessions that ran untouched.
    pub held_out: Group,
    /// Sessions that each group needs.
    pub floor: u64,
    /// The difference; none below the floor.
    pub difference: Option<Difference>,
}

impl Comparison {
    /// Compares sessions, each given as its calls and tokens.
    pub fn of(shaped: &[(u64, u64)], held_out: &[(u64, u64)]) -> Self {
        let (shaped, held_out) = (Group::of(shaped), Group::of(held_out));
        let is_enough = shaped.sessions >= FLOOR && held_out.sessions >= FLOOR;
        Self {
            shaped,
            held_out,
            floor: FLOOR,
            difference: is_enough.then(|| difference(&shaped, &held_out)),
        }
    }
}

/// Welch's interval for two means of unequal variance (B. L. Welch, Biometrika 34, 1947), with the
/// Welch–Satterthwaite degrees of freedom; Student's quantile from the normal one by the first two terms of
/// its Cornish–Fisher expansion (Abramowitz and Stegun 26.7.5), good to three digits above 20 degrees.
fn difference(shaped: &Group, held_out: &Group) -> Difference {
    let saved = held_out.tokens_per_session - shaped.tokens_per_session;
    let part = |group: &Group| group.variance / group.sessions as f64;
    let (a, b) = (part(shaped), part(held_out));
    let freedom = |part: f64, group: &Group| part.powi(2) / (group.sessions as f64 - 1.0);
    let denominator = freedom(a, shaped) + freedom(b, held_out);
    let quantile = if denominator > 0.0 {
        let freedom = (a + b).powi(2) / denominator;
        let first = (Z95.powi(3) + Z95) / 4.0 / freedom;
        let second = (5.0 * Z95.powi(5) + 16.0 * Z95.powi(3) + 3.0 * Z95) / 96.0 / freedom.powi(2);
        Z95 + first + second
    } else {
        Z95
    };
    let half = quantile * (a + b).sqrt();
    let base = held_out.tokens_per_session;
    Difference {
        saved_per_session: saved,
        low: saved - half,
        high: saved + half,
        percent: (base > 0.0).then(|| saved / base * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_shown() {
        for (text, shown) in [("0", "0"), ("0.1", "0.1"), ("10%", "0.1"), ("0.5", "0.5")] {
            let share: HoldoutShare = text.parse().expect(text);
            assert_eq!(share.to_string(), shown);
        }
        for wrong in ["", "x", "0.6", "60%", "-0.1", "nan", "1e-1", "%"] {
            assert!(wrong.parse::<HoldoutShare>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_session_is_held_out_for_good_and_about_as_many_as_asked() {
        let share: HoldoutShare = "0.1".parse().expect("a share");
        let held = |n: u32, secret: &[u8; 32]| is_held_out(secret, &n.to_le_bytes(), share);
        let n_held = (0..20_000).filter(|n| held(*n, &[7; 32])).count();
        assert!((1850..2150).contains(&n_held), "{n_held}");
        assert!((0..2000).all(|n| held(n, &[7; 32]) == held(n, &[7; 32])));
        assert!((0..2000).any(|n| held(n, &[7; 32]) != held(n, &[8; 32])));
        assert!((0..2000_u32).all(|n| !is_held_out(
            &[7; 32],
            &n.to_le_bytes(),
            HoldoutShare::NONE
        )));
        // Who is held out at a small share is held out at a larger one.
        let half: HoldoutShare = "0.5".parse().expect("a share");
        let is_half = |n: u32| is_held_out(&[7; 32], &n.to_le_bytes(), half);
        assert!((0..2000).all(|n| !held(n, &[7; 32]) || is_half(n)));
    }

    #[test]
    fn nothing_is_said_below_the_floor() {
        let sessions = |n: usize, tokens: u64| vec![(2, tokens); n];
        let few = Comparison::of(&sessions(500, 10), &sessions(29, 1000));
        assert_eq!(few.difference, None);
        assert_eq!((few.shaped.sessions, few.held_out.sessions), (500, 29));
        let enough = Comparison::of(&sessions(30, 10), &sessions(30, 1000));
        let difference = enough.difference.expect("enough sessions");
        assert_eq!(difference.saved_per_session, 990.0);
        assert_eq!(difference.percent, Some(99.0));
        assert!(difference.is_clear());
        assert_eq!(Comparison::of(&[], &[]).shaped, Group::default());
    }

    /// Against the quantile found by integrating Student's density (df = 66.97) outside of this program.
    #[test]
    fn the_interval_is_welchs() {
        let shaped: Vec<(u64, u64)> = (1..=40).map(|n| (1, n * 10)).collect();
        let held_out: Vec<(u64, u64)> = (1..=39).map(|n| (1, n * 15 + 5)).collect();
        let found = Comparison::of(&shaped, &held_out)
            .difference
            .expect("enough sessions");
        assert_eq!(found.saved_per_session, 100.0);
        assert!((found.low - 34.051).abs() < 0.05, "{found:?}");
        assert!((found.high - 165.949).abs() < 0.05, "{found:?}");
    }
}
