//! The crate's own source: what each file defines, and which other files it uses.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::tokens::{self, Token};

/// A path of modules from the crate's root, without `crate`.
pub type ModulePath = Vec<String>;

/// One file below `src`, without its tests.
pub struct SourceFile {
    /// From the repository's root.
    pub path: PathBuf,
    pub module: ModulePath,
    /// Absolute paths within the crate that the file names.
    pub uses: Vec<ModulePath>,
    /// First words of other paths: crates, and types.
    pub crates: Vec<String>,
    pub types: Vec<TypeName>,
    /// Each function with the number of its parameters besides `self`.
    pub functions: Vec<(String, usize)>,
    /// Public modules, types and functions without a doc comment.
    pub undocumented: Vec<String>,
    /// Name → what it stands for, of `pub use`.
    exports: BTreeMap<String, ModulePath>,
}

impl SourceFile {
    /// True for `src/<room>.rs` and all below `src/<room>/`.
    pub fn is_in(&self, room: &str) -> bool {
        self.module.first().is_some_and(|first| first == room)
    }
}

/// A struct, enum, trait or alias.
pub struct TypeName {
    pub name: String,
    /// Private to its file, and the form of bytes from outside: it derives serde's traits.
    pub is_wire: bool,
}

/// Every file of the crate.
pub struct Source {
    pub files: Vec<SourceFile>,
    by_module: BTreeMap<ModulePath, usize>,
}

impl Source {
    /// Reads all files below `src`, `main.rs` and files of tests apart.
    pub fn read() -> Self {
        let root = harness::project();
        let paths = rust_files(&root.join("src"));
        let files = paths.iter().filter_map(|path| {
            let name = path.strip_prefix(&root).unwrap();
            let module = module_of(name)?;
            let text = fs::read_to_string(path).unwrap();
            Some((name.to_path_buf(), module, text))
        });
        Self::of_texts(files.collect())
    }

    /// The files of a made-up crate: path, module and text.
    pub fn of_texts(texts: Vec<(PathBuf, ModulePath, String)>) -> Self {
        let modules: Vec<ModulePath> = texts.iter().map(|(_, module, _)| module.clone()).collect();
        let file =
            |(path, module, text): (PathBuf, ModulePath, String)| FileReader::read(path, module, &text, &modules);
        let files: Vec<_> = texts.into_iter().map(file).collect();
        let by_module = files.iter().enumerate().map(|(index, file)| (file.module.clone(), index)).collect();
        Self { files, by_module }
    }

    /// The file that a path leads to; re-exports are followed.
    pub fn file_of(&self, path: &[String]) -> &SourceFile {
        let mut path = path.to_vec();
        loop {
            let length = (0..=path.len()).rev().find(|length| self.by_module.contains_key(&path[..*length])).unwrap();
            let file = &self.files[self.by_module[&path[..length]]];
            match path.get(length).and_then(|name| file.exports.get(name)) {
                Some(target) if *target != path => path.clone_from(target),
                _ => return file,
            }
        }
    }
}

/// Every `.rs` file below a folder, sorted.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// `src/image/push.rs` → `image::push`; none for `main.rs` and for files of tests.
fn module_of(path: &Path) -> Option<ModulePath> {
    let mut module: ModulePath =
        path.with_extension("").iter().skip(1).map(|part| part.to_string_lossy().into_owned()).collect();
    if module.iter().any(|part| part == "tests") || module == ["main"] {
        return None;
    }
    if module == ["lib"] {
        module.clear();
    }
    Some(module)
}

/// What stands before an item.
#[derive(Default)]
struct Before {
    is_documented: bool,
    is_test: bool,
    has_serde: bool,
    visibility: Visibility,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Visibility {
    #[default]
    Private,
    /// `pub(…)`
    Limited,
    Public,
}

struct FileReader<'m> {
    file: SourceFile,
    /// Where the reader is: the file's module, or a module in braces in it.
    module: ModulePath,
    modules: &'m [ModulePath],
}

impl<'m> FileReader<'m> {
    fn read(path: PathBuf, module: ModulePath, text: &str, modules: &'m [ModulePath]) -> SourceFile {
        let tokens = tokens::parse(text);
        let is_documented = tokens.first() == Some(&Token::Doc { inner: true });
        let file = SourceFile {
            path,
            module: module.clone(),
            uses: vec![],
            crates: vec![],
            types: vec![],
            functions: vec![],
            undocumented: if is_documented { vec![] } else { vec!["the module".to_owned()] },
            exports: BTreeMap::new(),
        };
        let mut reader = Self { file, module, modules };
        reader.items(&tokens, true);
        reader.file.uses.sort();
        reader.file.uses.dedup();
        reader.file
    }

    /// Reads the items of a file, a module, a trait or an `impl`; what is public in `impl Trait for` is so anyway.
    fn items(&mut self, tokens: &[Token], with_docs: bool) {
        let mut rest = tokens;
        while !rest.is_empty() {
            let before = before(&mut rest);
            // An item ends behind its braces or its semicolon, whichever comes first.
            let end = rest.iter().position(|token| token.is(';') || token.group('{').is_some());
            let is_use = rest.first().and_then(Token::word) == Some("use");
            let end = if is_use { rest.iter().position(|token| token.is(';')) } else { end };
            let (item, after) = rest.split_at(end.map_or(rest.len(), |end| end + 1));
            rest = after;
            if !before.is_test {
                self.item(item, &before, with_docs);
            }
        }
    }

    fn item(&mut self, item: &[Token], before: &Before, with_docs: bool) {
        let words = item.iter().map_while(Token::word);
        let words: Vec<&str> = words.skip_while(|word| matches!(*word, "async" | "unsafe" | "const")).collect();
        let (last, start) = item.split_last().unwrap();
        match (words.as_slice(), last.group('{')) {
            (["use", ..], _) => self.add_uses(&start[1..], before.visibility != Visibility::Private),
            (["mod", name, ..], Some(body)) => {
                self.module.push((*name).to_owned());
                self.items(body, with_docs);
                self.module.pop();
            }
            (["impl", ..], Some(body)) => {
                self.paths(start);
                self.items(body, with_docs && !has_word(start, "for"));
            }
            ([kind @ ("struct" | "enum" | "trait" | "type" | "union"), name, ..], body) if with_docs => {
                let is_wire = before.has_serde && before.visibility == Visibility::Private;
                self.file.types.push(TypeName { name: (*name).to_owned(), is_wire });
                self.check_docs(name, before);
                self.paths(start);
                match body {
                    Some(body) if *kind == "trait" => self.items(body, with_docs),
                    _ => self.paths(item),
                }
            }
            (["fn", name, ..], _) => {
                if with_docs && *name != "new" {
                    self.check_docs(name, before);
                }
                self.paths(item);
            }
            _ => self.paths(item),
        }
    }

    fn check_docs(&mut self, name: &str, before: &Before) {
        if before.visibility == Visibility::Public && !before.is_documented {
            self.file.undocumented.push(format!("`{name}`"));
        }
    }

    /// All paths in a piece of code, the `use` items and functions in it included.
    fn paths(&mut self, tokens: &[Token]) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                Token::Group(_, inside) => self.paths(inside),
                Token::Word(word) if word == "use" => {
                    let end = tokens[at..].iter().position(|token| token.is(';')).unwrap_or(0);
                    self.add_uses(&tokens[at..at + end], false);
                    at += end;
                }
                Token::Word(word) if word == "fn" => self.function(&tokens[at..]),
                Token::Word(word) => {
                    let mut path = vec![word.clone()];
                    while let [first, second, Token::Word(word), ..] = &tokens[at..]
                        && first.is(':')
                        && second.is(':')
                    {
                        path.push(word.clone());
                        at += 3;
                    }
                    if path.len() > 1 {
                        self.add_use(&path);
                    }
                }
                _ => {}
            }
        }
    }

    /// `name<…>(…)`, behind `fn`.
    fn function(&mut self, tokens: &[Token]) {
        let Some(name) = tokens.first().and_then(Token::word) else { return };
        let Some(parameters) = tokens.iter().find_map(|token| token.group('(')) else { return };
        let mut depth = 0_i32;
        let mut previous = None;
        let separated = |token: &Token| {
            // The `>` of `->` closes nothing.
            match token {
                Token::Punct('<') => depth += 1,
                Token::Punct('>') if previous != Some('-') => depth -= 1,
                _ => {}
            }
            previous = if let Token::Punct(c) = token { Some(*c) } else { None };
            depth == 0 && token.is(',')
        };
        let split = parameters.split(separated).filter(|parameter| !parameter.is_empty());
        let is_self = |parameter: &&[Token]| parameter.iter().any(|token| token.word() == Some("self"));
        let count = split.filter(|parameter| !is_self(parameter)).count();
        self.file.functions.push((name.to_owned(), count));
    }

    /// The tree of a `use`.
    fn add_uses(&mut self, tree: &[Token], is_visible: bool) {
        let mut paths = Vec::new();
        expand(tree, &[], &mut paths);
        for (path, name) in paths {
            if is_visible && let Some(target) = self.resolve(&path) {
                self.file.exports.insert(name, target);
            }
            self.add_use(&path);
        }
    }

    fn add_use(&mut self, path: &[String]) {
        match self.resolve(path) {
            Some(absolute) => self.file.uses.push(absolute),
            None => self.file.crates.extend(path.first().cloned()),
        }
    }

    /// The absolute path of `path` as written here; none when it does not start with a module of this crate.
    fn resolve(&self, path: &[String]) -> Option<ModulePath> {
        let (head, _) = path.split_first()?;
        let child = [&self.module[..], std::slice::from_ref(head)].concat();
        let mut absolute = match head.as_str() {
            "crate" => vec![],
            "self" | "super" => self.module.clone(),
            _ if self.modules.contains(&child) => self.module.clone(),
            _ => return None,
        };
        for segment in path {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => drop(absolute.pop()),
                _ => absolute.push(segment.clone()),
            }
        }
        Some(absolute)
    }
}

fn has_word(tokens: &[Token], word: &str) -> bool {
    tokens.iter().any(|token| match token {
        Token::Group(_, inside) => has_word(inside, word),
        token => token.word() == Some(word),
    })
}

/// Takes doc comments, attributes and the visibility off the front of an item.
fn before(rest: &mut &[Token]) -> Before {
    let mut before = Before::default();
    loop {
        let length = match rest {
            [Token::Doc { .. }, ..] => {
                before.is_documented = true;
                1
            }
            [hash, Token::Group('[', attribute), ..] if hash.is('#') => {
                let is = |name: &str| attribute.first().and_then(Token::word) == Some(name);
                before.is_test |=
                    is("cfg") && attribute[1..] == [Token::Group('(', vec![Token::Word("test".to_owned())])];
                before.has_serde |=
                    is("derive") && (has_word(attribute, "Serialize") || has_word(attribute, "Deserialize"));
                2
            }
            [hash, bang, Token::Group('[', _), ..] if hash.is('#') && bang.is('!') => 3,
            [Token::Word(word), after @ ..] if word == "pub" => {
                let is_limited = after.first().is_some_and(|token| token.group('(').is_some());
                before.visibility = if is_limited { Visibility::Limited } else { Visibility::Public };
                if is_limited { 2 } else { 1 }
            }
            _ => return before,
        };
        *rest = &rest[length..];
    }
}

/// Each path of a `use`, with the name it is given.
fn expand(tree: &[Token], start: &[String], out: &mut Vec<(ModulePath, String)>) {
    for branch in tree.split(|token| token.is(',')).filter(|branch| !branch.is_empty()) {
        let mut path = start.to_vec();
        let mut name = None;
        for (index, token) in branch.iter().enumerate() {
            match token {
                Token::Word(word) if word == "as" => name = branch.get(index + 1).and_then(Token::word),
                Token::Word(word) if name.is_none() => path.push(word.clone()),
                Token::Group('{', inside) => expand(inside, &path, out),
                _ => {}
            }
        }
        if branch.iter().any(|token| token.group('{').is_some()) {
            continue;
        }
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = name.map(str::to_owned).or_else(|| path.last().cloned()).unwrap_or_default();
        out.push((path, name));
    }
}
