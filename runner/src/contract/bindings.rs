//! The host's side of the contract in `wit/`, generated.
//!
//! The main type is [`Stage`], an instance of the world `stage`. Records derive serde, so that they are journaled and
//! replayed as they are.

#![expect(missing_docs, reason = "the documentation is in the WIT")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "stage",
    imports: { default: async | trappable },
    exports: { default: async },
    with: { "kiln:stage/secrets.secret": crate::secrets::SecretHandle },
    additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
});

/// What of a component looks at configs before a run, where it exports that: the world `checker`.
pub mod checker {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "checker",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "kiln:files/files": crate::contract::bindings::kiln::files::files },
    });
}
