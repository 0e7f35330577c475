//! The event loop: owns the hub, executes its actions. Shell.
