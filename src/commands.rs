//! One file per subcommand: arguments, call, print. Shell.
