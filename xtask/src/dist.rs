//! The command as users download it: an archive with the binary, the licences and the README.

use crate::Failure;
use std::io::Write;
use std::path::Path;
use xshell::{Shell, cmd};
use zip::write::SimpleFileOptions;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The machine to build for; this one where none is named.
    #[arg(long)]
    target: Option<String>,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<(), Failure> {
    let shell = Shell::new()?;
    shell.change_dir(root);
    let target = match &options.target {
        Some(target) => target.clone(),
        None => cmd!(shell, "rustc --print host-tuple").read()?,
    };
    cmd!(
        shell,
        "cargo build --release --locked -p caribou-cli --target {target}"
    )
    .run()?;
    let name = if target.contains("windows") {
        "caribou.exe"
    } else {
        "caribou"
    };
    let folder = format!("caribou-{}-{target}", env!("CARGO_PKG_VERSION"));
    let dist = root.join("target/dist");
    shell.create_dir(&dist)?;
    let path = dist.join(format!("{folder}.zip"));
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path)?);
    let plain = SimpleFileOptions::default();
    archive.start_file(format!("{folder}/{name}"), plain.unix_permissions(0o755))?;
    archive.write_all(&std::fs::read(
        root.join("target").join(&target).join("release").join(name),
    )?)?;
    for text in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        archive.start_file(format!("{folder}/{text}"), plain)?;
        archive.write_all(&std::fs::read(root.join(text))?)?;
    }
    archive.finish()?;
    println!("{}", path.display());
    Ok(())
}
