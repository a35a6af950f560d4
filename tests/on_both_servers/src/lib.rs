//! The attribute `#[on_both_servers]` of the tests in `tests/suite`.
//!
//! Enters: an async function without arguments. Leaves: the function, and a module of its name with
//! two tests, `http` and `direct`. Each of them runs the function with the servers of its path. A
//! macro by rules cannot be an attribute, so this is a crate.

use proc_macro::{Delimiter, TokenStream, TokenTree};

/// Makes two tests of an async function: one on an `HttpServer`, one on a server of `SocketIo::serve`.
///
/// ```text
/// #[on_both_servers]
/// async fn second_poll_closes_the_session() { … }
/// ```
///
/// has the tests `second_poll_closes_the_session::http` and `second_poll_closes_the_session::direct`.
#[proc_macro_attribute]
pub fn on_both_servers(arguments: TokenStream, function: TokenStream) -> TokenStream {
    let tests = match (arguments.is_empty(), name_of(&function)) {
        (true, Some(name)) => tests_of(&name),
        (false, _) => refusal("`on_both_servers` takes no arguments"),
        (true, None) => refusal("`on_both_servers` is for an `async fn` without arguments"),
    };
    let mut output = function;
    output.extend(tests);
    output
}

/// Returns the name of `async fn name()`, whatever attributes stand in front of it.
fn name_of(function: &TokenStream) -> Option<String> {
    let tokens: Vec<TokenTree> = function.clone().into_iter().collect();
    let [.., asynchronous, word, name, arguments, _body] = tokens.as_slice() else {
        return None;
    };
    let TokenTree::Group(arguments) = arguments else {
        return None;
    };
    let is_called_with_nothing =
        arguments.delimiter() == Delimiter::Parenthesis && arguments.stream().is_empty();
    let is_async = asynchronous.to_string() == "async" && word.to_string() == "fn";
    (is_called_with_nothing && is_async).then(|| name.to_string())
}

fn tests_of(name: &str) -> TokenStream {
    parsed(&format!(
        "mod {name} {{
            #[test]
            fn http() {{
                crate::support::run_on(crate::support::ServerPath::Http, std::boxed::Box::pin(super::{name}()));
            }}

            #[test]
            fn direct() {{
                crate::support::run_on(crate::support::ServerPath::Direct, std::boxed::Box::pin(super::{name}()));
            }}
        }}"
    ))
}

fn refusal(text: &str) -> TokenStream {
    parsed(&format!("compile_error!({text:?});"))
}

/// Every text here is of this file, so that it is Rust.
fn parsed(text: &str) -> TokenStream {
    text.parse().unwrap_or_default()
}
