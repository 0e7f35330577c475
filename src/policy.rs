//! What a call may do. Today: the allow-all policy that every call passes. Pure.
