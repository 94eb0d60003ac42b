//! The judges that run on a JVM: built by Maven, once, and again when their sources change.

use crate::Failure;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use xshell::{Shell, cmd};

/// The class path of the judge in `xtask/<name>`, which it builds where needed. `None` when there is no Java or Maven.
pub(crate) fn classpath(root: &Path, name: &str) -> Result<Option<String>, Failure> {
    let shell = Shell::new()?;
    let runs = |program: &str, argument: &str| {
        let asked = cmd!(shell, "{program} {argument}")
            .quiet()
            .ignore_stdout()
            .ignore_stderr();
        asked.run().is_ok()
    };
    if !runs("java", "-version") || !runs("mvn", "-v") {
        return Ok(None);
    }
    let home = root.join("xtask").join(name);
    let jar = home.join(format!("target/{name}.jar"));
    let dependencies = home.join("target/classpath.txt");
    let built = modified(&dependencies).and(modified(&jar));
    let mut sources = shell.read_dir(home.join("src/main/java/caribou"))?;
    sources.push(home.join("pom.xml"));
    if built.is_none() || sources.iter().any(|source| modified(source) > built) {
        eprintln!("building {name} with Maven …");
        shell.change_dir(&home);
        cmd!(shell, "mvn -q -B -Dstyle.color=never package").run()?;
    }
    Ok(Some(format!(
        "{}:{}",
        jar.display(),
        shell.read_file(&dependencies)?.trim()
    )))
}

fn modified(path: &PathBuf) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()
}
