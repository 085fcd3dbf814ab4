//! YAML, or JSON, with the line of each value.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, SpannedEventReceiver};

/// The most values of a file.
const MOST_VALUES: usize = 2_000_000;
/// The deepest nesting.
const DEEPEST: usize = 128;

/// A value and where it begins.
#[derive(Debug)]
pub struct PlacedYaml {
    /// 1-based.
    pub line: usize,
    /// The value.
    pub value: PlacedValue,
}

/// What a value is.
#[derive(Debug)]
pub enum PlacedValue {
    /// A text, number, truth value or nothing.
    Scalar {
        /// As it is written, without quotes.
        text: String,
        /// Whether it had no quotes.
        is_plain: bool,
    },
    /// A list.
    List(Vec<Rc<PlacedYaml>>),
    /// A map, in the order of the file.
    Map(Vec<(Rc<PlacedYaml>, Rc<PlacedYaml>)>),
}

/// Why a text is no YAML.
#[derive(Debug, PartialEq, Eq)]
pub struct PlacedFault {
    /// 1-based.
    pub line: usize,
    /// 1-based.
    pub column: usize,
    /// What is wrong.
    pub what: String,
}

impl PlacedYaml {
    /// The value of a key, also of one that `<<` takes over.
    pub fn get(&self, key: &str) -> Option<&Rc<Self>> {
        let PlacedValue::Map(entries) = &self.value else { return None };
        let own = |wanted: &str| entries.iter().find(|(name, _)| name.text() == Some(wanted)).map(|(_, value)| value);
        own(key).or_else(|| own("<<").filter(|merged| !std::ptr::eq(&raw const ***merged, self))?.get(key))
    }

    /// The text of a scalar that is not nothing.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            PlacedValue::Scalar { text, is_plain } if !(*is_plain && matches!(text.as_str(), "" | "~" | "null")) => {
                Some(text)
            }
            _ => None,
        }
    }

    /// The truth value of a plain scalar.
    pub fn truth(&self) -> Option<bool> {
        match &self.value {
            PlacedValue::Scalar { text, is_plain: true } => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Some(true),
                "false" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// The items of a list; none of what is no list.
    pub fn items(&self) -> &[Rc<Self>] {
        if let PlacedValue::List(items) = &self.value { items } else { &[] }
    }

    /// The entries of a map; none of what is no map.
    pub fn entries(&self) -> &[(Rc<Self>, Rc<Self>)] {
        if let PlacedValue::Map(entries) = &self.value { entries } else { &[] }
    }
}

/// Reads the documents of a text. An alias is the very value that it names.
pub fn read(text: &str) -> Result<Vec<Rc<PlacedYaml>>, PlacedFault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = PlacedBuilder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            PlacedFault { line: at.line(), column: at.col() + 1, what: error.info().to_owned() }
        })?;
        builder.on_event(event, span);
        if let Some(what) = builder.fault.take() {
            return Err(PlacedFault { line: span.start.line(), column: span.start.col() + 1, what });
        }
    }
    Ok(builder.documents)
}

/// What is read so far.
#[derive(Default)]
struct PlacedBuilder {
    documents: Vec<Rc<PlacedYaml>>,
    open: Vec<OpenValue>,
    /// By their numbers: each value, and how many are within each other in it.
    anchors: HashMap<usize, (Rc<PlacedYaml>, usize)>,
    values: usize,
    fault: Option<String>,
}

/// A list or map whose end is still to come.
struct OpenValue {
    line: usize,
    anchor: usize,
    is_map: bool,
    items: Vec<Rc<PlacedYaml>>,
    /// The most values within each other in one of the items.
    deepest: usize,
}

impl SpannedEventReceiver<'_> for PlacedBuilder {
    fn on_event(&mut self, event: Event<'_>, span: Span) {
        let line = span.start.line();
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = PlacedValue::Scalar { text: text.into_owned(), is_plain: style == ScalarStyle::Plain };
                self.add(Rc::new(PlacedYaml { line, value }), anchor, 1);
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some((value, depth)) => self.add(value, 0, depth),
                None => self.fault = Some("an alias of a value that is not ended".to_owned()),
            },
            Event::SequenceStart(anchor, _) => self.begin(line, anchor, false),
            Event::MappingStart(anchor, _) => self.begin(line, anchor, true),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return };
                let value = if open.is_map {
                    let pairs = open.items.chunks_exact(2).map(|pair| (Rc::clone(&pair[0]), Rc::clone(&pair[1])));
                    PlacedValue::Map(pairs.collect())
                } else {
                    PlacedValue::List(open.items)
                };
                self.add(Rc::new(PlacedYaml { line: open.line, value }), open.anchor, open.deepest + 1);
            }
            _ => {}
        }
    }
}

impl PlacedBuilder {
    fn begin(&mut self, line: usize, anchor: usize, is_map: bool) {
        if self.open.len() >= DEEPEST {
            self.is_too_deep();
        }
        self.open.push(OpenValue { line, anchor, is_map, items: Vec::new(), deepest: 0 });
    }

    fn is_too_deep(&mut self) {
        self.fault = Some(format!("more than {DEEPEST} values within each other"));
    }

    fn add(&mut self, value: Rc<PlacedYaml>, anchor: usize, depth: usize) {
        self.values += 1;
        if self.values > MOST_VALUES {
            self.fault = Some(format!("more than {MOST_VALUES} values"));
        }
        // Aliases go deeper than what is open.
        if depth > DEEPEST {
            self.is_too_deep();
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (Rc::clone(&value), depth));
        }
        match self.open.last_mut() {
            Some(open) => {
                open.items.push(value);
                open.deepest = open.deepest.max(depth);
            }
            None => self.documents.push(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_lines() {
        let text = "# comment\nplugins:\n  - package: 'oci://a'\n    disabled: true\n\n  - &x\n    package: b\n    \
                    integrity: ~\n  - *x\n  - <<: *x\n    disabled: false\n";
        let documents = read(text).unwrap();
        let items = documents[0].get("plugins").unwrap().items();
        let of = |n: usize, key: &str| items[n].get(key).map(|value| (value.line, value.text().map(str::to_owned)));
        assert_eq!(of(0, "package"), Some((3, Some("oci://a".to_owned()))));
        assert_eq!((items[0].line, items[0].get("disabled").unwrap().truth()), (3, Some(true)));
        assert_eq!(of(1, "integrity"), Some((8, None)));
        assert_eq!((of(2, "package"), of(3, "package")), (of(1, "package"), of(1, "package")));
        assert_eq!(items[3].get("disabled").unwrap().truth(), Some(false));
        let json = read("{\n  \"a\": {\n\t\"registryReference\": \"h/a:1\"}}\n").unwrap();
        assert_eq!(json[0].get("a").unwrap().get("registryReference").unwrap().line, 3);
    }

    #[test]
    fn what_is_no_yaml_has_its_place() {
        let fault = read("a: b\nc: [1\n").unwrap_err();
        assert!(fault.line >= 2, "{fault:?}");
        let deep = read(&"[".repeat(200)).unwrap_err();
        assert_eq!(deep.what, "more than 128 values within each other");
        let chain = |last: usize| -> String {
            (1..=last).map(|n| format!("- &a{n} [*a{}]\n", n - 1)).fold("- &a0 []\n".to_owned(), |all, one| all + &one)
        };
        assert!(read(&chain(100)).is_ok());
        assert_eq!(read(&chain(100_000)).unwrap_err().what, "more than 128 values within each other");
        assert_eq!(read("a: &x [*x]\n").unwrap_err().what, "an alias of a value that is not ended");
    }
}
