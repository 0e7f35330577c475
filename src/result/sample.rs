//! A part of a result that fits a cap, with the rest counted. Pure.
