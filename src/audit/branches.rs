//! Text as a tree, with the lines that `cargo tree` draws.

/// A line, and what hangs on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branch {
    /// The line.
    pub label: String,
    /// What hangs on it.
    pub children: Vec<Branch>,
}

impl Branch {
    /// A line on which nothing hangs.
    pub fn leaf(label: impl Into<String>) -> Self {
        Self { label: label.into(), children: Vec::new() }
    }

    /// A line on which others hang.
    pub fn new(label: impl Into<String>, children: Vec<Self>) -> Self {
        Self { label: label.into(), children }
    }

    /// Writes it, and what hangs on it below.
    pub fn write(&self, text: &mut String) {
        text.push_str(&self.label);
        text.push('\n');
        self.write_children(text, "");
    }

    fn write_children(&self, text: &mut String, before: &str) {
        for (at, child) in self.children.iter().enumerate() {
            let is_last = at + 1 == self.children.len();
            let (mark, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            text.extend([before, mark, &child.label, "\n"]);
            child.write_children(text, &format!("{before}{below}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_lines() {
        let inner = Branch::new("b", vec![Branch::leaf("c"), Branch::leaf("d")]);
        let mut text = String::new();
        Branch::new("a", vec![inner, Branch::leaf("e")]).write(&mut text);
        assert_eq!(text, "a\n├─ b\n│  ├─ c\n│  └─ d\n└─ e\n");
    }
}
