//! Worlds of tests: that of the demo, with one thing changed.
//!
//! The main type is [`World`].

use toml::{Table, Value};

use crate::kiln::repository;

/// A world file under construction.
#[derive(Debug, Clone)]
pub struct World(Table);

impl World {
    /// The world of `pipelines/web-service.toml`.
    pub fn web_service() -> Self {
        let path = repository().join("pipelines/web-service.world.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(parse(&text))
    }

    /// The world of a file in `pipelines`, with the templates that it names.
    pub fn beside(name: &str) -> Self {
        let pipelines = repository().join("pipelines");
        let read = |file: &str| {
            let path = pipelines.join(file);
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let mut table = parse(&read(name));
        let stacks = table.get_mut("stacks").and_then(Value::as_array_mut);
        for stack in stacks.into_iter().flatten().filter_map(Value::as_table_mut) {
            if let Some(Value::String(file)) = stack.remove("template-file") {
                stack.insert("template".to_owned(), Value::String(read(&file)));
            }
        }
        Self(table)
    }

    /// The world of a world file's text.
    pub fn parse(text: &str) -> Self {
        Self(parse(text))
    }

    /// An account in which there is nothing but what `text` says.
    pub fn of(text: &str) -> Self {
        let mut table = parse("account = \"111111111111\"\nregion = \"us-west-2\"\nseed = 7\n");
        table.extend(parse(text));
        Self(table)
    }

    /// Add a thing to a list of the world, such as `[[task-behaviours]]`.
    pub fn add(mut self, list: &str, thing: &str) -> Self {
        let entry = self.0.entry(list).or_insert_with(|| Value::Array(Vec::new()));
        let list = entry.as_array_mut().unwrap_or_else(|| panic!("`{list}` of the world is not a list"));
        list.push(Value::Table(parse(thing)));
        self
    }

    /// Change what a named thing of a list says.
    pub fn change(mut self, list: &str, name: &str, change: &str) -> Self {
        let things = self.0.get_mut(list).and_then(Value::as_array_mut);
        let things = things.unwrap_or_else(|| panic!("the world has no list `{list}`"));
        let named = |thing: &&mut Value| thing.get("name").and_then(Value::as_str) == Some(name);
        let thing = things.iter_mut().find(named).and_then(Value::as_table_mut);
        thing.unwrap_or_else(|| panic!("`{list}` of the world has no `{name}`")).extend(parse(change));
        self
    }

    /// The world file's text.
    pub fn text(&self) -> String {
        self.0.to_string()
    }
}

fn parse(text: &str) -> Table {
    text.parse().unwrap_or_else(|error| panic!("the test's world: {error}\n{text}"))
}
