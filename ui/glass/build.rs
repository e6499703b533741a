//! Compiles the screen; fonts go into the binary.

fn main() -> Result<(), slint_build::CompileError> {
    let config = slint_build::CompilerConfiguration::new()
        .embed_resources(slint_build::EmbedResourcesKind::EmbedFiles)
        .with_style("fluent".into())
        .with_debug_info(std::env::var_os("CARGO_FEATURE_INSPECT").is_some());
    slint_build::compile_with_config("../ui/kiosk.slint", config)
}
