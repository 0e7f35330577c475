//! Joins sessions and upstreams. Owns every exchange. Pure.
