//! `caribou convert`.

use crate::archive::{self, Job};
use crate::args::{Arguments, Convert};
use crate::failure::Failure;
use crate::output::{complain, print};
use crate::report::Conversion;
use caribou_ir::Report;
use std::path::Path;

pub(crate) fn run(options: &Convert, arguments: &Arguments) -> Result<(), Failure> {
    let job = Job {
        model: &options.model,
        parts: &options.parts,
        target: &options.target,
        unroll_recurrent: options.unroll_recurrent,
        with_training_state: options.with_training_state,
        surgery: None,
        repetitive: false,
        arguments,
    };
    written(&job)
}

/// Writes the archive, and tells what was done.
pub(crate) fn written(job: &Job) -> Result<(), Failure> {
    let conversion = archive::write(job, None)?;
    if !job.arguments.quiet {
        conversion.findings.iter().for_each(complain);
        print(&summary(&job.target.output, job.arguments, &conversion))?;
    }
    Ok(())
}

fn summary(output: &Path, arguments: &Arguments, conversion: &Conversion) -> String {
    if arguments.json {
        return format!("{:#}", conversion.to_json());
    }
    let empty = Report::default();
    let report = conversion.report.as_ref().unwrap_or(&empty);
    let mut lines = vec![
        format!("{}: {}", output.display(), report.target),
        format!(
            "  {} parameters, {} bytes, {} rewrites",
            report.parameters,
            conversion.bytes,
            report.rewrites.len()
        ),
    ];
    for (side, ports) in [("input", &report.inputs), ("output", &report.outputs)] {
        for port in ports {
            lines.push(format!("  {side} {} {:?}", port.name, port.shape));
        }
    }
    lines.push(match &conversion.verification {
        Some(v) => format!(
            "  same outputs on {} samples, largest relative difference {:.1e}",
            v.samples, v.max_rel
        ),
        None => "  not verified".to_owned(),
    });
    lines.join("\n")
}
