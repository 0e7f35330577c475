//! One server connection: probe, handshake, id map, replay after a restart. Pure.
