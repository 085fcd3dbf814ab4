//! The start of a script of webpack or rspack: `(self.x=self.x||[]).push([[879],{4267:(e,t,n)=>{…`.

/// How far into a script its start is looked for, in bytes.
const START: usize = 64 << 10;

/// A file of a bundle with modules.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunk {
    /// What webpack's runtime calls it.
    pub(super) ids: Vec<String>,
}

impl Chunk {
    pub(super) fn of(script: &[u8]) -> Self {
        let ids = start(script).and_then(|start| start.split_once(']')).map(|(ids, _)| ids);
        let plain = |id: &str| id.trim().trim_matches(['"', '\'']).to_owned();
        let ids = ids.into_iter().flat_map(|ids| ids.split(',')).map(plain).filter(|id| !id.is_empty());
        Self { ids: ids.collect() }
    }
}

/// The text behind `.push([[`.
fn start(script: &[u8]) -> Option<&str> {
    let head = &script[..script.len().min(START)];
    let head = match str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => str::from_utf8(&head[..error.valid_up_to()]).ok()?,
    };
    head.split_once(".push([[").map(|(_, behind)| behind)
}

/// Whether it is blank, or has modules that all are empty: those have no source.
pub(super) fn is_empty(script: &[u8]) -> bool {
    if script.iter().all(u8::is_ascii_whitespace) {
        return true;
    }
    let modules = start(script).and_then(|start| start.split_once("],{"));
    let Some((ids, mut rest)) = modules.filter(|(ids, _)| !ids.contains('[')) else { return false };
    if ids.contains('{') {
        return false;
    }
    while !rest.starts_with('}') {
        let Some(behind) = empty_module(rest) else { return false };
        rest = behind.strip_prefix(',').unwrap_or(behind);
    }
    true
}

/// What is behind `7(){}`, `"7":(e)=>{}` or `7:function(e,t){}`.
fn empty_module(text: &str) -> Option<&str> {
    let id = text.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "\"'./_-".contains(c));
    let function = id.strip_prefix(':').unwrap_or(id);
    let function = function.strip_prefix("function").unwrap_or(function);
    let (_, body) = function.strip_prefix('(')?.split_once(')')?;
    body.strip_prefix("=>").unwrap_or(body).strip_prefix("{}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_runtime() {
        let script =
            br#""use strict";(self.webpackChunkx=self.webpackChunkx||[]).push([[879,"b"],{5348:(e,t,n)=>{}}]);"#;
        assert_eq!(Chunk::of(script).ids, ["879", "b"]);
        assert_eq!(Chunk::of(b"var x"), Chunk::default());
    }

    #[test]
    fn scripts_without_code_are_told_from_others() {
        let of = |modules: &str| {
            is_empty(format!("(self.x=self.x||[]).push([[\"889\"],{{{modules}}},e=>{{}}]);").as_bytes())
        };
        assert!(of("8146(){}") && of("\"./a\":(e,t)=>{},7:function(e){}") && of(""));
        assert!(!of("8146(){a()}") && !of("7(){},8(e){e.exports=1}"));
        assert!(is_empty(b"") && is_empty(b" \n"));
        assert!(!is_empty(b"a()") && !is_empty(b"x.push([[1],a])"));
    }
}
