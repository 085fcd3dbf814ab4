//! `--label`: labels of the images that are pushed.

use clap::Args;

use crate::error::{Error, Result};
use crate::image::ImageLabels;

/// Labels of pushed images.
#[derive(Clone, Debug, Default, Args)]
pub struct LabelArgs {
    /// Add this label to the images that are pushed, such as `quay.expires-after=2w`; those that are sealed and written
    /// to disk have none. The variable has one per line
    #[arg(long, env = "FACTORY_LABEL", value_name = "KEY=VALUE")]
    pub label: Vec<String>,
}

impl LabelArgs {
    /// Refuses what no label is, and labels of nothing.
    pub fn check(&self, pushes: bool) -> Result<()> {
        if self.label.is_empty() || pushes {
            return self.labels().map(drop);
        }
        Err(Error::usage(
            "`--label` labels the images that are pushed, and no images are pushed",
            "add `--push-images`, or leave out `--label`",
        ))
    }

    /// The labels.
    pub fn labels(&self) -> Result<ImageLabels> {
        let mut labels = ImageLabels::default();
        for text in &self.label {
            // Empty only where none was meant to be left out.
            let lines: Vec<&str> = if text.is_empty() { vec![""] } else { text.lines().collect() };
            for line in lines {
                labels.add(line).map_err(|why| {
                    Error::usage(
                        format!("`--label {}` {why}", line.escape_debug()),
                        "give a key and a value, such as `--label quay.expires-after=2w`",
                    )
                })?;
            }
        }
        Ok(labels)
    }
}
