//! The attribute macros of `patchbay-plugin`: they export an implementation of a role from the component.

use proc_macro::TokenStream;
use proc_macro2::{Ident, Span, TokenStream as Tokens};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, ItemImpl, Type, parse_macro_input};

/// Exports an `impl Handler for …` as this component's handler.
#[proc_macro_attribute]
pub fn handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    export(arguments, parse_macro_input!(item as ItemImpl), "Handler", "HandlerRole", "handler", "export_handler")
}

/// Exports an `impl Desk for …` as this component's desk.
#[proc_macro_attribute]
pub fn desk(arguments: TokenStream, item: TokenStream) -> TokenStream {
    export(arguments, parse_macro_input!(item as ItemImpl), "Desk", "DeskRole", "desk", "export_desk")
}

/// Exports an `impl Inspector for …` as this component's inspector.
#[proc_macro_attribute]
pub fn inspector(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as ItemImpl);
    export(arguments, item, "Inspector", "InspectorRole", "inspector", "export_inspector")
}

/// The item as it is, followed by the export of its role; natively there is nothing to export.
fn export(
    arguments: TokenStream,
    item: ItemImpl,
    role: &str,
    adapter: &str,
    bindings: &str,
    export: &str,
) -> TokenStream {
    let arguments = Tokens::from(arguments);
    let exported = match implementor(&arguments, &item, role) {
        Ok(implementor) => {
            let adapter = Ident::new(adapter, Span::call_site());
            let bindings = Ident::new(bindings, Span::call_site());
            let export = Ident::new(export, Span::call_site());
            quote! {
                // So that natively, where nothing is exported, the type is not taken for unused.
                #[cfg(not(target_arch = "wasm32"))]
                const _: usize = ::core::mem::size_of::<#implementor>();
                #[cfg(target_arch = "wasm32")]
                const _: () = {
                    type Role = ::patchbay_plugin::__private::#adapter<#implementor>;
                    ::patchbay_plugin::__private::#bindings::#export!(
                        Role with_types_in ::patchbay_plugin::__private::#bindings
                    );
                };
            }
        }
        Err(error) => error.into_compile_error(),
    };
    quote!(#item #exported).into()
}

/// The type that the role is implemented for, or what is wrong with the item.
fn implementor<'a>(arguments: &Tokens, item: &'a ItemImpl, role: &str) -> Result<&'a Type, Error> {
    let attribute = role.to_lowercase();
    if !arguments.is_empty() {
        return Err(Error::new(arguments.span(), format!("#[{attribute}] takes no arguments")));
    }
    let is_role =
        item.trait_.as_ref().and_then(|(_, path, _)| path.segments.last()).is_some_and(|segment| segment.ident == role);
    if !is_role {
        return Err(Error::new(
            item.self_ty.span(),
            format!("#[{attribute}] goes on the implementation of the role: `impl {role} for … {{ … }}`"),
        ));
    }
    if !item.generics.params.is_empty() {
        return Err(Error::new(item.generics.span(), format!("#[{attribute}] exports one type: it takes no generics")));
    }
    Ok(&item.self_ty)
}
