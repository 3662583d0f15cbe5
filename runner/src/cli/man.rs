//! `kiln man`: the manual page of kiln or of one of its commands.

use std::io::Write;

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;

use super::document::write;
use super::exit::Exit;
use super::say::complain;

/// Print a manual page.
#[derive(Debug, Args)]
#[command(after_help = "\
  kiln man | man -l -                    # read the page about kiln
  kiln man lease release | man -l -      # and that about one of its commands

A package puts all of them where `man` finds them:

  kiln man --list | while read -r page command; do kiln man $command > \"man1/$page\"; done")]
pub(super) struct Man {
    /// The command, as it is typed after `kiln`; without one, kiln itself
    #[arg(value_name = "COMMAND", conflicts_with = "list")]
    command: Vec<String>,
    /// List all pages: the name of the file, then the command
    #[arg(long)]
    list: bool,
}

impl Man {
    pub(super) fn execute<A: CommandFactory>(&self) -> Exit {
        let mut root = A::command().disable_help_subcommand(true);
        root.build();
        if self.list {
            let mut pages = Vec::new();
            list(&root, &mut Vec::new(), &mut pages);
            return write(Exit::Done, |out| pages.iter().try_for_each(|page| writeln!(out, "{page}")));
        }
        let mut found = Some(&root);
        for name in &self.command {
            found = found.and_then(|command| command.find_subcommand(name));
        }
        match found {
            Some(command) => write(Exit::Done, |out| page(command).render(out)),
            None => complain(
                &format!("kiln has no command `{}`", self.command.join(" ")),
                Some("`kiln man --list` names all of them"),
                Exit::Input,
            ),
        }
    }
}

/// The page about a command. It has no date: the same binary gives the same page.
fn page(command: &Command) -> Page {
    Page::new(command.clone()).source(concat!("kiln ", env!("CARGO_PKG_VERSION"))).manual("kiln")
}

/// The page of `command` and those of what is below it.
fn list<'a>(command: &'a Command, path: &mut Vec<&'a str>, pages: &mut Vec<String>) {
    let name = format!("{} {}", page(command).get_filename(), path.join(" "));
    pages.push(name.trim_end().to_owned());
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        path.push(inner.get_name());
        list(inner, path, pages);
        path.pop();
    }
}
