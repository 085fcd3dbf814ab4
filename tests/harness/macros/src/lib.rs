//! The attribute `#[harness::test]`.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Registers a function as a test of the binary it stands in, as `#[test]` does; `#[harness::test(long)]` as one that is
/// begun before the others, `#[harness::test(ignored)]` as one that only `--ignored` runs.
///
/// # Panics
/// When it is misused, which the compiler shows as an error.
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    let kind = match options.to_string().as_str() {
        "" => "Usual",
        "long" => "Long",
        "ignored" => "Ignored",
        other => panic!("`{other}` is no option of `#[harness::test]`"),
    };
    let name = function.clone().into_iter().skip_while(|token| token.to_string() != "fn").nth(1);
    let name = name.expect("`#[harness::test]` stands before a function");
    let register: TokenStream = "::harness::inventory::submit!".parse().expect("tokens");
    let case = format!(
        r#"::harness::Case {{
            name: concat!(module_path!(), "::", stringify!(NAME)),
            run: NAME,
            kind: ::harness::Kind::{kind},
        }}"#
    );
    let case = case.parse::<TokenStream>().expect("tokens").into_iter().map(|token| fill(token, &name)).collect();
    let case = TokenTree::from(Group::new(Delimiter::Brace, case));
    function.into_iter().chain(register).chain([case]).collect()
}

/// Puts the function's name, where an error would be shown, in the place of `NAME`.
fn fill(token: TokenTree, name: &TokenTree) -> TokenTree {
    match token {
        TokenTree::Ident(ident) if ident.to_string() == "NAME" => name.clone(),
        TokenTree::Group(group) => {
            let inner = group.stream().into_iter().map(|token| fill(token, name)).collect();
            Group::new(group.delimiter(), inner).into()
        }
        other => other,
    }
}
