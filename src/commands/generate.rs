//! `generate`: completions and the man page, from the one definition of the command line.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::Cli;

use super::Output;

/// Prints completions for a shell.
///
/// # Errors
/// When stdout cannot be written.
pub fn completions(
    shell: clap_complete::Shell,
    output: &mut Output<'_>,
) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "mcp-whittle", &mut script);
    output.write(script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the man page, with a section for each subcommand.
///
/// # Errors
/// When stdout cannot be written.
pub fn man(output: &mut Output<'_>) -> anyhow::Result<ExitCode> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in leaves(&command) {
        let man = clap_mangen::Man::new(subcommand.clone());
        let title = subcommand
            .get_display_name()
            .unwrap_or_else(|| subcommand.get_name())
            .replace('-', "\\-");
        page.extend_from_slice(format!(".SH \"{}\"\n", title.to_uppercase()).as_bytes());
        let mut sections = Vec::new();
        man.render_description_section(&mut sections)?;
        man.render_synopsis_section(&mut sections)?;
        man.render_options_section(&mut sections)?;
        // The library writes sections; inside ours they are subsections.
        let sections = String::from_utf8_lossy(&sections).replace(".SH ", ".SS ");
        page.extend_from_slice(sections.as_bytes());
    }
    output.write(page)?;
    Ok(ExitCode::SUCCESS)
}

/// Finds the subcommands that have no further ones.
fn leaves(command: &clap::Command) -> Vec<clap::Command> {
    let mut found = Vec::new();
    for subcommand in command.get_subcommands() {
        if subcommand.has_subcommands() {
            found.extend(leaves(subcommand));
        } else {
            found.push(subcommand.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use clap_complete::Shell;

    use super::*;

    fn generated(make: impl FnOnce(&mut Output<'_>) -> anyhow::Result<ExitCode>) -> String {
        let mut bytes = Vec::new();
        make(&mut Output::to(&mut bytes)).expect("memory can be written");
        String::from_utf8(bytes).expect("generated text is UTF-8")
    }

    #[test]
    fn completions_know_options_and_subcommands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = generated(|output| completions(shell, output));
            for word in ["max-frame-bytes", "capture", "o200k_base"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn the_man_page_has_every_option() {
        let page = generated(man).replace("\\-", "-");
        for word in [
            "--max-frame-bytes",
            "--conversation",
            "--delay",
            "Exit codes",
            ".SH \"MCP-WHITTLE-COUNT\"",
        ] {
            assert!(page.contains(word), "{word}");
        }
    }
}
