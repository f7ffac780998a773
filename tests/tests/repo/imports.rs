//! Checks the imports between the files of each crate: no circles, and no import from a lower room to a
//! higher one.
//!
//! The files are read as text. A path that begins with `crate`, `super`, `self`, a child module or an
//! imported module is resolved to the file that defines the item. A `mod` declaration is not an import. A
//! re-export (`pub use`) is an import only if its file also uses the name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use anyhow::{Context, Result, ensure};

use crate::{files, read, tokens::tokens};

/// For each file, the files that it imports, and the names that it uses from each.
type Imports = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The rooms of each crate by floor, beginning with the lowest floor. A room is a file in `src` together with
/// the folder of the same name. It may import only from lower floors.
const FLOORS: &[(&str, &[&str])] = &[
    ("api", &["checks meta status", "policy", "crd_corrections", "lib"]),
    ("archive", &["rows toc", "lib"]),
    ("desired", &["observed open_request validate", "objects status", "events", "lib"]),
    (
        "domain",
        &[
            "hash message operation pattern reason scrub size suspicion time",
            "name schedule",
            "overdue",
            "report",
            "manifest",
            "catalog suspicion_rules",
            "retention",
            "invocation",
            "uri",
            "lib",
        ],
    ),
    ("kubectl", &["output", "commands", "args", "main"]),
    (
        "operator",
        &[
            "api_metrics clock merge_patch pending_statuses reconcile_metrics",
            "client watches",
            "event_writer lease ops policies start_failures status_patch",
            "args observe",
            "apply requested_at",
            "reconcile",
            "controller",
            "main",
        ],
    ),
    (
        "runner",
        &[
            "clock failpoint install pg signals store termination",
            "args run transfer",
            "catalog list plan read_back",
            "acknowledge scrub",
            "prune verify",
            "backup",
            "fuzzing",
            "lib",
            "main",
        ],
    ),
    ("view", &["duration state table", "overview", "page", "lib"]),
];

#[test]
fn files_of_a_crate_have_no_circular_imports() -> Result<()> {
    let mut found = String::new();
    for imports in crates()? {
        for circle in circles(&imports) {
            found += "\na circle of imports:\n";
            for from in &circle {
                for (to, names) in imports[from].iter().filter(|(to, _)| circle.contains(*to)) {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    writeln!(found, "  {from} -> {to}: {}", names.join(", "))?;
                }
            }
        }
    }
    ensure!(found.is_empty(), "{found}");
    Ok(())
}

#[test]
fn modules_import_only_from_lower_modules() -> Result<()> {
    let mut wrong = String::new();
    for imports in crates()? {
        for (from, targets) in &imports {
            let floor = floor(from)?;
            for (to, names) in targets.iter().filter(|(to, _)| room(to) != room(from)) {
                if self::floor(to)? >= floor {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    writeln!(wrong, "  {from} -> {to}: {}", names.join(", "))?;
                }
            }
        }
    }
    ensure!(wrong.is_empty(), "imports from a room that is not lower:\n{wrong}");
    Ok(())
}

/// Returns the crate and the room of `crates/<crate>/src/<room>.rs` and `crates/<crate>/src/<room>/...`.
fn room(file: &str) -> Option<(&str, &str)> {
    let (krate, inner) = file.strip_prefix("crates/")?.split_once("/src/")?;
    Some((krate, inner.split_once('/').map_or(inner.trim_end_matches(".rs"), |(room, _)| room)))
}

fn floor(file: &str) -> Result<usize> {
    let (krate, room) = room(file).context("a file of a crate")?;
    let floors = FLOORS.iter().find(|(name, _)| *name == krate);
    let floor = floors
        .and_then(|(_, floors)| floors.iter().position(|rooms| rooms.split(' ').any(|name| name == room)));
    floor.with_context(|| format!("{file}: add the room {room} of the crate {krate} to FLOORS"))
}

/// Returns the imports of each crate.
fn crates() -> Result<Vec<Imports>> {
    let mut all: BTreeMap<String, Vec<Source>> = BTreeMap::new();
    for path in files("crates", ".rs")? {
        if let Some(source) = Source::parse(&path.to_string_lossy(), &read(&path)?) {
            all.entry(source.krate.clone()).or_default().push(source);
        }
    }
    ensure!(all.len() > 5, "there should be more crates than {}", all.len());
    for sources in all.values_mut() {
        // The crate is only a program, so `main.rs` is its root.
        if !sources.iter().any(|source| source.module.is_empty()) {
            sources
                .iter_mut()
                .filter(|source| source.module == ["main"])
                .for_each(|main| main.module.clear());
        }
    }
    Ok(all.values().map(|sources| imports(sources)).collect())
}

/// One file of a crate, without its tests.
struct Source {
    path: String,
    krate: String,
    /// The names of the modules from the crate's root to this file.
    module: Vec<String>,
    tokens: Vec<String>,
    uses: Vec<Use>,
}

/// A name that a `use` declaration imports into a file.
struct Use {
    path: Vec<String>,
    name: String,
    exported: bool,
}

impl Source {
    /// Parses a file. Returns `None` for a file of tests and for a file outside `src`.
    fn parse(path: &str, text: &str) -> Option<Self> {
        let (krate, inner) = path.strip_prefix("crates/")?.split_once("/src/")?;
        let mut module: Vec<String> = inner.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.iter().any(|name| name == "tests") {
            return None;
        }
        module.pop_if(|name| name == "mod" || (inner == "lib.rs" && name == "lib"));
        let (uses, tokens) = separate(&without_tests(&tokens(text)));
        Some(Self { path: path.to_owned(), krate: krate.to_owned(), module, tokens, uses })
    }
}

/// Removes each item that has the attribute `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        if rest.len() >= ATTRIBUTE.len() && rest.iter().zip(ATTRIBUTE).all(|(token, wanted)| token == wanted)
        {
            rest = &rest[ATTRIBUTE.len()..];
            let mut depth = 0;
            let end = rest.iter().position(|token| {
                match token.as_str() {
                    "{" => depth += 1,
                    "}" => depth -= 1,
                    _ => {}
                }
                depth == 0 && (token == ";" || token == "}")
            });
            rest = &rest[end.map_or(rest.len(), |end| end + 1)..];
        } else {
            kept.push(first.clone());
            rest = &rest[1..];
        }
    }
    kept
}

/// Separates the `use` declarations of a file from its other tokens.
fn separate(tokens: &[String]) -> (Vec<Use>, Vec<String>) {
    let (mut uses, mut others) = (Vec::new(), Vec::new());
    let mut rest = tokens;
    while let Some(first) = rest.first() {
        if first == "use" && others.last().is_none_or(|before: &String| before != "#") {
            let end = rest.iter().position(|token| token == ";").unwrap_or(rest.len());
            // `pub use` or `pub(crate) use`.
            let exported = others.iter().rev().find(|token| *token != ")" && *token != "(");
            let exported = match exported.map(String::as_str) {
                Some("pub") => true,
                Some("crate" | "super" | "self") => others.last().is_some_and(|token| token == ")"),
                _ => false,
            };
            let mut at = 1;
            expand(&rest[..end], &mut at, &[], exported, &mut uses);
            rest = &rest[(end + 1).min(rest.len())..];
        } else {
            others.push(first.clone());
            rest = &rest[1..];
        }
    }
    (uses, others)
}

/// Parses one tree of a `use` declaration, beginning at the token `at`.
fn expand(tokens: &[String], at: &mut usize, prefix: &[String], exported: bool, uses: &mut Vec<Use>) {
    let mut path = prefix.to_vec();
    while let Some(token) = tokens.get(*at) {
        *at += 1;
        match token.as_str() {
            "::" => {}
            "{" => {
                while tokens.get(*at).is_some_and(|token| token != "}") {
                    expand(tokens, at, &path, exported, uses);
                    *at += usize::from(tokens.get(*at).is_some_and(|token| token == ","));
                }
                *at += 1;
                return;
            }
            "as" => {
                let name = tokens.get(*at).cloned().unwrap_or_default();
                *at += 1;
                uses.push(Use { path, name, exported });
                return;
            }
            _ => path.push(token.clone()),
        }
        if tokens.get(*at).is_none_or(|token| token == "," || token == "}") {
            break;
        }
    }
    // `a::{self, b}` imports `a`.
    path.pop_if(|last| last == "self");
    let name = path.last().cloned().unwrap_or_default();
    uses.push(Use { path, name, exported });
}

fn imports(sources: &[Source]) -> Imports {
    let modules: BTreeMap<&[String], &Source> =
        sources.iter().map(|source| (source.module.as_slice(), source)).collect();
    let mut all = Imports::new();
    for source in sources {
        let found = all.entry(source.path.clone()).or_default();
        let mut add = |module: &[String], name: &str| {
            let to = &modules[module].path;
            if *to != source.path {
                found.entry(to.clone()).or_default().insert(name.to_owned());
            }
        };
        for one in &source.uses {
            let used_here = !one.exported || source.tokens.contains(&one.name);
            let Some(target) =
                absolute(source, &one.path, &modules).and_then(|path| resolve(&path, &modules))
            else {
                continue;
            };
            // An imported module counts as an import only where a path through it is used: see `paths`.
            let through = is_module(&target, &modules) && used_through(source, &one.name);
            if used_here && !through {
                let (module, name) = definer(&target, &modules);
                add(module, if name.is_empty() { &one.name } else { name });
            }
        }
        for path in paths(&source.tokens) {
            let Some(target) = absolute(source, &path, &modules).and_then(|path| resolve(&path, &modules))
            else {
                continue;
            };
            let (module, name) = definer(&target, &modules);
            add(module, if name.is_empty() { path.last().map_or("", String::as_str) } else { name });
        }
    }
    all
}

type Modules<'a> = BTreeMap<&'a [String], &'a Source>;

fn is_module(path: &[String], modules: &Modules<'_>) -> bool {
    modules.contains_key(path)
}

/// Returns whether the file contains a path `name::...`.
fn used_through(source: &Source, name: &str) -> bool {
    source.tokens.windows(2).any(|pair| pair[0] == name && pair[1] == "::")
}

/// Returns all paths of more than one name in a file's code.
fn paths(tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let start = at;
        while tokens.get(at + 1).is_some_and(|token| token == "::")
            && is_name(&tokens[at])
            && tokens.get(at + 2).is_some_and(|token| is_name(token))
        {
            at += 2;
        }
        let inside = start > 0 && matches!(tokens[start - 1].as_str(), "::" | ".");
        if at > start && !inside {
            found.push((start..=at).step_by(2).map(|index| tokens[index].clone()).collect());
        }
        at += 1;
    }
    found
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Resolves a path of a file to a path from the crate's root; `None` if the path leaves the crate.
fn absolute(source: &Source, path: &[String], modules: &Modules<'_>) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let mut from = source.module.clone();
    match first.as_str() {
        "crate" => from.clear(),
        // The path begins with the crate's own library: this file belongs to a program beside it.
        first if first.strip_prefix("pgbackup_") == Some(&source.krate) => from.clear(),
        "self" => {}
        "super" => {
            from.pop();
        }
        _ => {
            from.push(first.clone());
            if !is_module(&from, modules) {
                // Not a child module, so it is a module that the file imports.
                let one = source.uses.iter().find(|one| one.name == *first && one.path != path)?;
                from = resolve(&absolute(source, &one.path, modules)?, modules)?;
                if !is_module(&from, modules) {
                    return None;
                }
            }
        }
    }
    for name in rest {
        if name == "super" {
            from.pop();
        } else {
            from.push(name.clone());
        }
    }
    Some(from)
}

/// Follows re-exports until the path names a module, or an item in the file that defines it.
fn resolve(path: &[String], modules: &Modules<'_>) -> Option<Vec<String>> {
    let (module, rest) = split(path, modules)?;
    let Some((name, after)) = rest.split_first() else { return Some(path.to_vec()) };
    let Some(export) = modules[module].uses.iter().find(|one| one.exported && one.name == *name) else {
        return Some(path.to_vec());
    };
    let Some(mut target) = absolute(modules[module], &export.path, modules) else {
        return Some(path.to_vec());
    };
    target.extend_from_slice(after);
    resolve(&target, modules)
}

/// Splits a path into its longest beginning that is a module, and the rest.
fn split<'a>(path: &'a [String], modules: &Modules<'_>) -> Option<(&'a [String], &'a [String])> {
    (0..=path.len()).rev().map(|end| path.split_at(end)).find(|(module, _)| is_module(module, modules))
}

/// Returns the module that defines the item of a resolved path, and the item's name.
fn definer<'a>(path: &'a [String], modules: &Modules<'_>) -> (&'a [String], &'a str) {
    let (module, rest) = split(path, modules).expect("a resolved path should begin with a module");
    (module, rest.first().map_or("", String::as_str))
}

/// Returns the sets of files that all reach each other by imports.
fn circles(imports: &Imports) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|file| (file, reach(file, imports))).collect();
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for file in imports.keys() {
        let circle: BTreeSet<String> = reached[file]
            .iter()
            .filter(|other| reached[**other].contains(file))
            .map(|&other| other.clone())
            .collect();
        if circle.len() > 1 && !found.contains(&circle) {
            found.push(circle);
        }
    }
    found
}

/// Returns all files that `file` reaches by one or more imports.
fn reach<'a>(file: &'a String, imports: &'a Imports) -> BTreeSet<&'a String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        for to in imports[file].keys() {
            if seen.insert(to) {
                open.push(to);
            }
        }
    }
    seen
}

#[test]
fn circular_import_through_a_reexport_is_found() {
    let sources: Vec<Source> = [
        ("lib.rs", "mod room; mod b; pub use room::{A, Other as C};"),
        ("room.rs", "mod a; mod c; pub(crate) use self::{a::A, c::Other};"),
        ("room/a.rs", "use crate::b; pub struct A(b::B); #[cfg(test)] mod tests { use crate::C; }"),
        ("room/c.rs", "/* use super::A; */ pub struct Other(&'static str);"),
        ("b.rs", "use crate::{C, room::c}; pub struct B; fn f(_: crate::A) -> C { c::Other(\"self::x\") }"),
        ("b/tests.rs", "use super::B;"),
    ]
    .into_iter()
    .filter_map(|(file, text)| Source::parse(&format!("crates/x/src/{file}"), text))
    .collect();
    let found = circles(&imports(&sources));
    let circle = ["crates/x/src/b.rs", "crates/x/src/room/a.rs"].map(str::to_owned);
    assert_eq!(found, [BTreeSet::from(circle)]);
}
