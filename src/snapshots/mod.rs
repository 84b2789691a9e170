//! Reviewed answers: for each operation and outcome one document of what was sent and answered.
//!
//! ```text
//! exemplar ──► stable ──► document ──► folder ──► .snap.new for `cargo insta review`
//! ```
//!
//! Nothing in a document changes from run to run: what only one run knows stands as a symbol, the same value as the same
//! symbol, numbered in the order of appearance. Secrets and texts for people are masked. The files are those of `insta`.
mod document;
mod folder;
mod stable;

pub use document::{Document, documents};
pub use folder::{Comparison, compare, reviewed};
