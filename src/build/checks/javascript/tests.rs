use super::*;

#[track_caller]
fn finds(source: &str, names: &[&str]) {
    assert_eq!(required_modules(source.as_bytes()).into_iter().collect::<Vec<_>>(), names, "{source}");
}

#[test]
fn every_form_with_a_literal_name_is_found() {
    for (source, name) in [
        ("var a = require('a');", "a"),
        ("var a=require(\"@b/c/alpha\")", "@b/c/alpha"),
        ("require ( /* why */ `a` )", "a"),
        ("require('a', extra)", "a"),
        ("x ? require('a') : 0", "a"),
        ("[...require('a')]", "a"),
        ("await import('a')", "a"),
        ("import('a', { with: { type: 'json' } })", "a"),
        ("import 'a'", "a"),
        ("import\"a\"", "a"),
        ("import x from 'a'", "a"),
        ("import x, { y as z } from 'a'", "a"),
        ("import*as x from\"a\"", "a"),
        ("import{a as b}from\"a\";", "a"),
        ("export*from'a'", "a"),
        ("export * as x from 'a'", "a"),
        ("export { x, // from 'no'\n y } from 'a'", "a"),
        ("#!/usr/bin/env node 'it's\nrequire('a')", "a"),
        ("\u{feff}require('node:fs')", "node:fs"),
        ("if (require('a')) {}", "a"),
    ] {
        finds(source, &[name]);
    }
}

#[test]
fn what_is_no_module_or_has_no_literal_name_is_not_found() {
    for source in [
        "// require('a')\n",
        "/* require('a') */ /**/",
        "const text = \"require('a')\"",
        "'it\\'s require(\"a\")'",
        "`require('a')`",
        "/require('a')/",
        "x = /[/'\"]require('a')/g",
        "a.require('a')",
        "a?.require('a')",
        "a.#require('a')",
        "a.import('a')",
        "__webpack_require__('a')",
        "require(name)",
        "require('a' + name)",
        "require(`a/${name}`)",
        "require('\\x61')",
        "require.resolve('a')",
        "require('./a'); import('../b'); import '/c'",
        "import.meta.url",
        "let from = 1; from\n'a'",
        "export const from = 'a'",
        "function require(a) { return 'a' }",
    ] {
        finds(source, &[]);
    }
}

#[test]
fn a_regular_expression_is_no_division_and_the_reverse() {
    for source in [
        "a = b / c; d = '/'; require('x')",
        "a = b/c/d;require('x')",
        "if (a) /'/.test(b); require('x')",
        "while(a)/\"/.test(b);require('x')",
        "for await (const a of b) /'/.test(a); require('x')",
        "(a) / '/'.length; require('x')",
        "a[0] / 2 / '/'; require('x')",
        "return /'/; require('x')",
        "f(/[/'\"`]/, /\\/'/); require('x')",
        "a = {} / 1; b = '/'; require('x')",
        "function f() {} /'/.test(a); require('x')",
        "() => { } \n /'/.test(a); require('x')",
        "a => /'/.test(a); require('x')",
        "a++ / 2; b = '/'; require('x')",
        "a = b\n/ 2; c = \"'\"; require('x')",
        "a.return / 2; b = '/'; require('x')",
        "a.if(b) / 2; c = '/'; require('x')",
        "x = y ? /'/ : /\"/; require('x')",
        "a = `${b / c}/'` + /`/.source; require('x')",
        "`a ${ `b ${ {c: '}'} } '` } '`; require('x')",
        "a = !/'/.test(b) && typeof /'/; require('x')",
        "case /'/: require('x')",
        "1 / 2 / 3; 1.5e3 / '/'; require('x')",
        "a = b ? {} : {}; c = /'/; require('x')",
        "return{a:1}/2;b='/';require('x')",
    ] {
        finds(source, &["x"]);
    }
}

#[test]
fn broken_text_ends_and_what_follows_is_found_again() {
    finds("a = 'unterminated\nrequire('x')", &["x"]);
    finds("a = / unterminated [\nrequire('x')", &["x"]);
    finds("}}})]); require('x')", &["x"]);
    for source in
        ["", "\\", "'", "`", "`${", "/", "/*", "//", "require", "require(", "require('", "import", "from", "'\\"]
    {
        finds(source, &[]);
    }
    for byte in 0..=255 {
        required_modules(&[b'\'', byte, b'/', byte, b'`', byte, byte]);
    }
}

/// Each of these would take minutes if something was looked at again and again.
#[test]
fn long_hostile_text_takes_no_longer_than_other_text() {
    for piece in ["/[", "'\\", "require(", "require/**/", "import\"", "`${", "((", "/*/", "= /a", "\\'", "export{"] {
        required_modules(piece.repeat(100_000).as_bytes());
    }
}
