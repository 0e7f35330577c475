//! Reading parts of a kept result. Pure.
