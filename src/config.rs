//! File + environment + flags become one immutable, validated `Settings`. Shell.
