//! The bindings of world `stage`, generated from `wit/`.

wit_bindgen::generate!({
    path: "../../wit",
    world: "stage",
    pub_export_macro: true,
    export_macro_name: "export_lifecycle",
    default_bindings_module: "kiln_plugin::bindings",
    runtime_path: "::wit_bindgen::rt",
    additional_derives: [PartialEq, Eq],
    generate_all,
});
