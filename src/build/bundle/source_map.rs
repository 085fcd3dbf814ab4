//! Source maps (ECMA-426): the names of the sources, and the texts of some. Maps are bytes of others: what is no map is
//! refused, whatever else it is.

use serde::Deserialize;

/// A source map, or an index map with sections.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MapText {
    sources: Option<Vec<Option<String>>>,
    source_root: Option<String>,
    sections: Option<Vec<MapSection>>,
}

#[derive(Deserialize)]
struct MapSection {
    map: MapText,
}

/// As [`MapText`], with the texts of its sources.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MapWithTexts {
    #[serde(default)]
    sources: Vec<Option<String>>,
    #[serde(default)]
    sources_content: Vec<Option<String>>,
}

/// The names of the sources, without one where the map has none for it; none of what is no map.
pub(super) fn sources(bytes: &[u8]) -> Option<Vec<Option<String>>> {
    let map: MapText = serde_json::from_slice(without_guard(bytes)).ok()?;
    let mut found = Vec::new();
    map.collect(&mut found)?;
    Some(found)
}

/// The sources whose names are wanted, with their texts.
pub(super) fn texts(bytes: &[u8], is_wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let Ok(map) = serde_json::from_slice::<MapWithTexts>(without_guard(bytes)) else { return vec![] };
    let all = map.sources.into_iter().zip(map.sources_content);
    all.filter_map(|(source, text)| Some((source.filter(|source| is_wanted(source))?, text?))).collect()
}

/// Without the line that keeps a map from being run as a script.
fn without_guard(bytes: &[u8]) -> &[u8] {
    if !bytes.starts_with(b")]}") {
        return bytes;
    }
    let end = bytes.iter().position(|byte| *byte == b'\n');
    end.map_or(&[], |end| &bytes[end + 1..])
}

impl MapText {
    fn collect(self, into: &mut Vec<Option<String>>) -> Option<()> {
        if self.sources.is_none() && self.sections.is_none() {
            return None;
        }
        let root = self.source_root.filter(|root| !root.is_empty());
        let below = |source: String| match &root {
            Some(root) => format!("{}/{source}", root.trim_end_matches('/')),
            None => source,
        };
        into.extend(self.sources.into_iter().flatten().map(|source| source.map(below)));
        for section in self.sections.into_iter().flatten() {
            section.map.collect(into)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Option<Vec<String>> {
        sources(text.as_bytes()).map(|all| all.into_iter().map(|one| one.unwrap_or("(null)".into())).collect())
    }

    #[test]
    fn sources_of_maps_and_of_their_sections() {
        let plain = r#"{"version":3,"sources":["a.js",null],"mappings":"AAAA","sourcesContent":["x"]}"#;
        assert_eq!(names(plain).unwrap(), ["a.js", "(null)"]);
        assert_eq!(names(&format!(")]}}'\n{plain}")).unwrap(), ["a.js", "(null)"]);
        let rooted = r#"{"version":3,"sourceRoot":"webpack://x/","sources":["./a.js"],"mappings":""}"#;
        assert_eq!(names(rooted).unwrap(), ["webpack://x/./a.js"]);
        let indexed = format!(
            r#"{{"version":3,"sections":[{{"offset":{{"line":0,"column":0}},"map":{plain}}},
                {{"offset":{{"line":9,"column":0}},"map":{{"version":3,"sources":["b.js"],"mappings":""}}}}]}}"#
        );
        assert_eq!(names(&indexed).unwrap(), ["a.js", "(null)", "b.js"]);
    }

    #[test]
    fn what_is_no_map_is_refused() {
        let deep = format!("{}1{}", r#"{"sections":[{"map":"#.repeat(1000), "}]}".repeat(1000));
        let url = r#"{"version":3,"sections":[{"offset":{"line":0,"column":0},"url":"https://x/y"}]}"#;
        for text in ["", "null", "[]", "{}", r#"{"sources":"a"}"#, r#"{"sources":[1]}"#, ")]}", url, deep.as_str()] {
            assert_eq!(names(text), None, "{text}");
        }
    }
}
