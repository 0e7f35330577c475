//! How text on a terminal looks: its colours and styles (SGR, ECMA-48 §8.3.117). Pure.

/// Colours and styles that are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Look {
    /// A bit for each style: bold is bit 1.
    styles: u64,
    /// What set the colour of letters and the one behind them; 0 where nothing did.
    front: u64,
    back: u64,
}

impl Look {
    /// Follows a sequence with these parameters: `1;31`, `38;5;208`, `38:2::1:2:3`, none.
    pub(super) fn set(&mut self, parameters: &str) {
        let mut rest = parameters.split(';');
        while let Some(parameter) = rest.next() {
            let mut parts = parameter.split(':').map(number);
            let code = parts.next().unwrap_or(0);
            let join = |colour: u64, part: u64| (colour << 8) | part;
            let mut colour = parts.fold(code, join);
            if matches!(code, 38 | 48) && colour == code {
                let mode = rest.next().map_or(0, number);
                let n_parts = if mode == 2 { 3 } else { 1 };
                let parts = rest.by_ref().take(n_parts).map(number);
                colour = parts.fold(join(colour, mode), join);
            }
            match code {
                0 => *self = Self::default(),
                1..=9 => self.styles |= 1_u64 << code,
                22 => self.styles &= !0b110,
                25 => self.styles &= !0b110_0000,
                23 | 24 | 27..=29 => self.styles &= !(1_u64 << (code - 20)),
                30..=38 | 90..=97 => self.front = colour,
                39 => self.front = 0,
                40..=48 | 100..=107 => self.back = colour,
                49 => self.back = 0,
                _ => {}
            }
        }
    }

    /// Whether it has a colour or a style that the other has not.
    pub(super) fn has_more(self, other: Self) -> bool {
        self.styles & !other.styles != 0
            || (self.front != 0 && self.front != other.front)
            || (self.back != 0 && self.back != other.back)
    }
}

/// A parameter; nothing is 0.
fn number(text: &str) -> u64 {
    text.parse::<u8>().map_or(0, u64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken variants that this catches: the parts of a colour are taken for styles, `01` is none, and a colour that
    /// ends is still there.
    #[test]
    fn colours_and_styles_are_followed() {
        let of = |all: &[&str]| {
            let mut look = Look::default();
            for parameters in all {
                look.set(parameters);
            }
            look
        };
        for all in [
            &["01;31", ""][..],
            &["1;2;4", "22", "24"],
            &["31;42", "39;49"],
            &["38;5;1;48;2;1;2;3", "0"],
        ] {
            assert_eq!(of(all), Look::default(), "{all:?}");
        }
        assert_eq!(of(&["38;5;4"]).styles, 0);
        assert_eq!(of(&["38;5;4;4"]).styles, 1 << 4);
        assert_ne!(of(&["38;5;4"]), of(&["38;5;5"]));
        let (red, green, bold) = (of(&["31"]), of(&["32"]), of(&["31;1"]));
        assert!(red.has_more(green) && green.has_more(red));
        assert!(bold.has_more(red) && !red.has_more(bold));
    }
}
