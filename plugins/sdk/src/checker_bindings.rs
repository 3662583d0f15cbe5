//! The bindings of world `checker`, generated from `wit/`: for plugins that look at configs before a run.

wit_bindgen::generate!({
    path: "../../wit",
    world: "checker",
    pub_export_macro: true,
    export_macro_name: "export_checker",
    default_bindings_module: "kiln_plugin::checker_bindings",
    runtime_path: "::wit_bindgen::rt",
    with: { "kiln:files/files@0.1.0": crate::bindings::kiln::files::files },
});
